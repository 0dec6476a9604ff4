/** Pinning and entering real namespaces; the node's own must look the same after every test. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  type Child,
  inNamespaces,
  loopbackUp,
  makePrivate,
  mountsUnder,
  pinNamespaces,
  run,
  SIGNALS,
  spawn,
  unmount,
} from '../../../src/sys/index.ts';
import { openFdCount } from '../../fixtures/eventually.ts';

const KILL = SIGNALS.SIGKILL ?? 9;
const KINDS = ['net', 'ipc', 'uts'] as const;
const home = namespaces('thread-self');
const nodeName = hostname();

function namespaces(process: string): string[] {
  return [...KINDS, 'pid', 'pid_for_children'].map((kind) => readlinkSync(`/proc/${process}/ns/${kind}`));
}

/** A private directory for pins and the three paths in it. */
function pins(t: Test): { directory: string; net: string; ipc: string; uts: string } {
  const directory = mkdtempSync(join(tmpdir(), 'berth-ns-'));
  makePrivate(directory);
  t.teardown(() => {
    for (const target of mountsUnder(directory)) unmount(target, { detach: true });
    rmSync(directory, { recursive: true });
  });
  return { directory, net: join(directory, 'net'), ipc: join(directory, 'ipc'), uts: join(directory, 'uts') };
}

function assertHome(t: Test): void {
  t.same(namespaces('thread-self'), home, 'back in the namespaces of the node');
  t.equal(hostname(), nodeName, 'the node has its name');
}

t.test('three new namespaces are pinned and the node is as before', async (t) => {
  const { directory, ...paths } = pins(t);
  let inside: string[] = [];
  pinNamespaces({
    ...paths,
    hostname: 'pod-a',
    inside: () => {
      inside = namespaces('thread-self');
    },
  });
  assertHome(t);
  for (const i of [0, 1, 2]) t.not(inside[i], home[i], `another ${KINDS[i]} namespace`);
  t.same(mountsUnder(directory).toSorted(), [directory, ...Object.values(paths)].toSorted());
  t.same(inNamespaces(paths, () => namespaces('thread-self')).slice(0, 3), inside.slice(0, 3), 'the pins are those very ones');
  t.equal(inNamespaces({ uts: paths.uts }, hostname), 'pod-a');
  assertHome(t);
});

t.test('loopback is set up inside only', async (t) => {
  const { net } = pins(t);
  pinNamespaces({ net });
  const addresses = () => inNamespaces({ net }, () => networkInterfaces().lo?.map(({ address }) => address));
  t.equal(addresses(), undefined, 'down at first');
  inNamespaces({ net }, loopbackUp);
  inNamespaces({ net }, loopbackUp);
  t.ok(addresses()?.includes('127.0.0.1'));
  t.same(
    inNamespaces({ net }, () => readdirSync('/proc/thread-self/net/dev_snmp6')),
    ['lo'],
  );
  assertHome(t);
});

t.test('a child started inside lives there, as PID 1 of a new pid namespace when asked', async (t) => {
  const { net, ipc, uts } = pins(t);
  const started: Child[] = [];
  t.teardown(async () => {
    for (const child of started) child.kill(KILL);
    await Promise.all(started.map((child) => child.exited));
  });
  const inside = (): void => {
    started.push(spawn({ argv: ['sleep', '1000'] }));
  };
  pinNamespaces({ net, ipc, uts, inside, newPidForChildren: true });
  assertHome(t);
  const [pause] = started;
  t.match(readFileSync(`/proc/${pause?.pid}/status`, 'utf8'), new RegExp(`^NSpid:\\t${pause?.pid}\\t1$`, 'm'));
  const theirs = namespaces(`${pause?.pid}`);
  for (const i of [0, 1, 2, 3]) t.not(theirs[i], home[i]);
  inside();
  t.same(namespaces(`${started[1]?.pid}`), home, 'the next child is of the node again');
});

t.test('what fails inside undoes everything and comes out as it is', async (t) => {
  const { directory, ...paths } = pins(t);
  const before = openFdCount();
  const failing = (): void => {
    throw new TypeError('no');
  };
  t.throws(() => pinNamespaces({ ...paths, newPidForChildren: true, inside: failing }), { name: 'TypeError', message: 'no' });
  t.same(readdirSync(directory), []);
  t.same(mountsUnder(directory), [directory]);
  t.throws(() => inNamespaces({ net: '/proc/self/ns/net' }, failing), { message: 'no' });
  t.equal(openFdCount(), before);
  assertHome(t);
});

t.test('failures of the namespaces themselves are told and leave nothing', async (t) => {
  const { directory, ...paths } = pins(t);
  const failure = { name: 'RuntimeError', reason: 'NAMESPACE_FAILED' };
  t.throws(() => pinNamespaces({ ...paths, hostname: 'x'.repeat(65) }), { ...failure, message: /EINVAL/ });
  t.throws(() => pinNamespaces({ net: paths.net, hostname: 'pod' }), failure, 'it would rename the node');
  t.throws(() => pinNamespaces({ ...paths, uts: join(directory, 'no/such/dir') }), { ...failure, message: /ENOENT/ });
  t.same(readdirSync(directory), []);
  writeFileSync(paths.uts, 'mine');
  t.throws(() => pinNamespaces(paths), { ...failure, message: /EEXIST/ });
  t.same(readdirSync(directory), ['uts'], 'a file that was there is not touched');
  t.equal(readFileSync(paths.uts, 'utf8'), 'mine');
  t.throws(() => inNamespaces({ net: paths.uts }, () => 0), { ...failure, message: /EINVAL/ }, 'no namespace');
  t.throws(() => inNamespaces({ net: join(directory, 'none') }, () => 0), { ...failure, message: /ENOENT/ });
  t.throws(() => inNamespaces({ net: '/proc/self/ns/ipc' }, () => 0), { ...failure, message: /EINVAL/ }, 'of another kind');
  t.same(mountsUnder(directory), [directory]);
  assertHome(t);
});

t.test('work that would go on after the return is refused', async (t) => {
  const { uts, directory } = pins(t);
  const later = async (): Promise<void> => undefined;
  t.throws(() => inNamespaces({ uts: '/proc/self/ns/uts' }, later), { name: 'RuntimeError', message: /synchronous/ });
  t.throws(() => pinNamespaces({ uts, inside: later as () => void }), { name: 'RuntimeError', message: /synchronous/ });
  t.same(readdirSync(directory), []);
  assertHome(t);
});

t.test('no thread of the pool is born in a pod', async (t) => {
  const { net } = pins(t);
  // A process of its own, where nothing has started the pool before; require, since import() would.
  const script = `
    const { pinNamespaces } = require(${JSON.stringify(join(import.meta.dirname, '../../../src/sys/namespace.ts'))});
    const { readdirSync, readlinkSync, stat } = require('node:fs');
    pinNamespaces({ net: ${JSON.stringify(net)}, inside: () => stat('/', () => {
      const tasks = readdirSync('/proc/self/task');
      console.log(JSON.stringify(tasks.map((task) => readlinkSync('/proc/self/task/' + task + '/ns/net'))));
    }) });
  `;
  const result = await run({ argv: [process.execPath, '-e', script], timeoutMs: 30_000 });
  const threads: string[] = JSON.parse(result.stdout.toString() || '[]');
  t.ok(threads.length > 4, `threads were looked at: ${result.stderr}`);
  t.same([...new Set(threads)], [home[0]]);
});

t.test('200 pods come and go and leave no mount, file or descriptor', async (t) => {
  const { directory } = pins(t);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').length;
  const descriptors = openFdCount();
  for (let round = 0; round < 200; round += 1) {
    const pod = join(directory, `pod-${round}`);
    mkdirSync(pod);
    pinNamespaces({ net: join(pod, 'net'), ipc: join(pod, 'ipc'), uts: join(pod, 'uts'), hostname: `pod-${round}`, inside: loopbackUp });
    for (const target of mountsUnder(pod)) unmount(target);
    rmSync(pod, { recursive: true });
  }
  t.equal(readFileSync('/proc/self/mountinfo', 'utf8').length, mounts);
  t.equal(openFdCount(), descriptors);
  t.same(readdirSync(directory), []);
  assertHome(t);
});
