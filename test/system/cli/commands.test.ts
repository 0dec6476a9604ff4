// Every command against berth's own gRPC server over a real socket, with a domain in memory.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ContainerSpec } from '../../../src/container/index.ts';
import { RuntimeError } from '../../../src/errors/index.ts';
import type { SandboxSpec } from '../../../src/sandbox/index.ts';
import { Harness } from '../../fixtures/cri/client.ts';
import {
  containerRecord,
  containerSpec,
  IMAGE_ID,
  imageRecord,
  layerProgress,
  pullProgress,
  sandboxRecord,
  sandboxSpec,
} from '../../fixtures/cri/services.ts';
import { RecordingTerminal, runOn, type Said } from '../../fixtures/terminal.ts';

const POD = 'a1'.repeat(32);
const POD_2 = 'a2'.repeat(32);
const CONTAINER = 'c1'.repeat(32);
const ENDED = 'c2'.repeat(32);

interface Bench {
  readonly harness: Harness;
  /** The daemon's root directory. */
  readonly root: string;
  readonly services: Harness['services'];
  cli(...argv: string[]): Promise<Said>;
}

/** A server with a ready pod of a running and an ended container, and a stopped pod. */
async function bench(t: Test): Promise<Bench> {
  const harness = new Harness();
  t.teardown(() => harness[Symbol.asyncDispose]());
  const { services } = harness;
  const root = join(harness.directory, 'root');
  const dependencies = services.dependencies();
  services.dependencies = () => ({ ...dependencies, config: { ...dependencies.config, root } });
  await harness.start();
  services.addPod(POD, CONTAINER);
  services.containerRecords.set(
    ENDED,
    containerRecord(ENDED, POD, {
      spec: containerSpec('side', { labels: { tier: 'x' } }),
      exit: { exitCode: 137, finishedAtNs: 1_788_000_001_000_000_000n, reason: 'OOMKilled', message: '' },
    }),
  );
  services.sandboxRecords.set(
    POD_2,
    sandboxRecord(POD_2, sandboxSpec('old', { metadata: { name: 'old', namespace: 'kube', uid: 'u2', attempt: 1 } }), { stoppedAtNs: 5n }),
  );
  services.imageRecords.push(imageRecord());
  const env = { BERTH_SOCKET: harness.socket };
  return { harness, root, services, cli: (...argv) => runOn(new RecordingTerminal({ env }), argv) };
}

/** Lines as lists of cells. */
const cells = (text: string): string[][] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {3,}/));
const called = (services: Harness['services'], name: string): unknown[][] =>
  services.calls.filter((call) => call.name === name).map((call) => call.args);

t.test('pods', async (t) => {
  const { cli } = await bench(t);
  const [headings, ...rows] = cells((await cli('pods')).out);
  t.same(headings, ['POD ID', 'NAMESPACE', 'NAME', 'STATE', 'RUNNING', 'ATTEMPT', 'AGE']);
  t.equal(rows.length, 1, 'only ready ones');
  t.match(rows[0], ['a1a1a1a1a1a1a', 'default', 'pod', 'Ready', '1/2', '0']);
  t.equal(cells((await cli('pods', '-a')).out).length, 3);
  t.match(cells((await cli('pods', '--state', 'notready')).out)[1], [POD_2.slice(0, 13), 'kube', 'old', 'NotReady']);
  t.equal(cells((await cli('pods', '-a', '-n', 'kube')).out).length, 2);
  t.equal(cells((await cli('pods', '-a', '--name', 'o*')).out).length, 2);
  t.equal(cells((await cli('pods', '-l', 'nobody=has')).out).length, 1);
  t.match((await cli('pods', '-o', 'wide')).out, /10\.88\.0\.2,fd00::2 {3}\(default\)\n$/);
  t.equal((await cli('pods', '-q')).out, `${POD}\n`);
  t.equal((await cli('pods', '-o', 'name')).out, 'default/pod\n');
  const json = JSON.parse((await cli('pods', '-o', 'json')).out);
  t.match(json, { items: [{ id: POD, state: 'SANDBOX_READY', createdAt: '1788000000123456789', metadata: { uid: 'uid-pod' } }] });
});

t.test('ps', async (t) => {
  const { cli } = await bench(t);
  const rows = cells((await cli('ps')).out);
  t.same(rows[0], ['CONTAINER ID', 'NAME', 'STATE', 'ATTEMPT', 'AGE', 'IMAGE', 'POD']);
  t.equal(rows.length, 2, 'only running ones');
  t.match(rows[1], [CONTAINER.slice(0, 13), 'main', 'Running', '0', /./, 'docker.io/library/busybox:1', 'default/pod']);
  t.match((await cli('ps', '-a')).out, /side +OOMKilled \(137\)/, 'how it ended');
  t.equal((await cli('ps', '-aq', '-l', 'tier=x')).out, `${ENDED}\n`);
  t.equal((await cli('ps', '-a', '--pod', 'old', '-q')).out, '');
  t.equal((await cli('ps', '--pod', 'a1', '-q')).out, `${CONTAINER}\n`, 'the start of an id');
  t.match(await cli('ps', '--pod', 'nope'), { code: 1, err: /no pod has the id or name "nope"\n {2}reason SANDBOX_NOT_FOUND: / });
});

t.test('images and rmi', async (t) => {
  const { cli, services } = await bench(t);
  t.same(cells((await cli('images')).out), [
    ['IMAGE', 'IMAGE ID', 'SIZE', 'PINNED'],
    ['docker.io/library/busybox:1', 'aaaaaaaaaaaaa', '3.8 MiB', 'yes'],
  ]);
  t.equal(cells((await cli('images', 'nginx')).out).length, 1);
  t.equal((await cli('images', 'busy', '-q')).out, `${IMAGE_ID}\n`);
  t.match(JSON.parse((await cli('images', '-o', 'json')).out), { images: [{ id: IMAGE_ID, size: '4000000', pinned: true }] });
  t.match(await cli('rmi', 'nope:1', 'docker.io/library/busybox:1'), {
    code: 1,
    out: 'docker.io/library/busybox:1\n',
    err: /the image "nope:1" is not on this node.*\n {2}reason IMAGE_NOT_FOUND/,
  });
  t.same(called(services, 'images.remove'), [['docker.io/library/busybox:1']]);
});

t.test('pull shows progress on standard error and prints the id', async (t) => {
  const { cli, services } = await bench(t);
  const layers = [layerProgress({ state: 'downloading', downloadedBytes: 10 })];
  services.overrides.set('images.pull', async () => {
    services.pulls = [pullProgress({ reference: 'docker.io/library/app:2', layers })];
    const change = services.pullsChange;
    services.pullsChange = Promise.withResolvers();
    change.resolve();
    const done = layers.map((layer) => ({ ...layer, state: 'done' as const, unpackedBytes: 3_145_728 }));
    services.pulls = [pullProgress({ reference: 'docker.io/library/app:2', layers: done, state: 'done' })];
    return IMAGE_ID;
  });
  t.same(await cli('pull', 'app:2', '--creds', 'me:pass:word'), {
    out: `${IMAGE_ID}\n`,
    err: 'layer dddddddddddd 1.0 MiB: done, 3.0 MiB unpacked\n',
    code: 0,
  });
  const [reference, auth] = called(services, 'images.pull')[0] ?? [];
  t.equal(reference, 'app:2');
  t.match(auth, { username: 'me', password: 'pass:word' });
  t.same(await cli('pull', '-q', 'app:2'), { out: `${IMAGE_ID}\n`, err: '', code: 0 });
});

t.test('a failed pull tells the daemon’s words and reason', async (t) => {
  const { cli, services } = await bench(t);
  services.overrides.set('images.pull', () => {
    throw new RuntimeError('not-found', 'IMAGE_NOT_IN_REGISTRY', 'registry r has no app:3');
  });
  t.same(await cli('pull', 'app:3'), {
    out: '',
    err: 'berth: registry r has no app:3\n  reason IMAGE_NOT_IN_REGISTRY: check the name and the tag\n',
    code: 1,
  });
  t.match(await cli('pull', 'app', '--creds', 'secret'), { code: 2, err: /^berth: --creds \(or BERTH_CREDS\) is not USER:PASSWORD/ });
});

t.test('exec passes output and exit code on', async (t) => {
  const { cli, services } = await bench(t);
  t.same(await cli('exec', 'main', '--timeout', '5', '--', 'sh', '-c', 'exit 3'), { out: 'out', err: 'err', code: 3 });
  t.match(called(services, 'containers.execSync')[0], [CONTAINER, ['sh', '-c', 'exit 3'], 5]);
  t.match(await cli('exec', '-it', 'main', '--', 'sh'), {
    code: 1,
    err: /interactive exec \(-i, -t\) is not in this version.*\n {2}reason UNIMPLEMENTED/,
  });
  t.equal((await cli('exec', 'main', 'ls')).code, 2);
});

t.test('inspect finds containers, pods and images', async (t) => {
  const { cli } = await bench(t);
  t.match(JSON.parse((await cli('inspect', 'main')).out), { status: { id: CONTAINER, state: 'CONTAINER_RUNNING' }, info: { pid: 77 } });
  t.match(JSON.parse((await cli('inspect', 'pod')).out), { status: { id: POD, network: { ip: '10.88.0.2' } }, info: { pid: 4242 } });
  t.match(JSON.parse((await cli('inspect', IMAGE_ID)).out), { status: { id: IMAGE_ID }, info: { imageSpec: { os: 'linux' } } });
  t.match(JSON.parse((await cli('inspect', 'main', 'side')).out), [
    { status: { id: CONTAINER } },
    { status: { id: ENDED, exitCode: 137 } },
  ]);
  t.match(await cli('inspect', '--type', 'pod', 'main'), {
    code: 1,
    err: /no pod has the id or name "main"\n {2}reason SANDBOX_NOT_FOUND/,
  });
  t.match(await cli('inspect', 'No Such'), { code: 1, err: /no container, pod or image has the id or name "No Such"/ });
});

t.test('stats', async (t) => {
  const { cli } = await bench(t);
  const rows = cells((await cli('stats')).out);
  t.same(rows[0], ['CONTAINER ID', 'NAME', 'CPU', 'MEMORY', 'SWAP', 'DISK', 'INODES', 'POD']);
  t.match(rows[1], [CONTAINER.slice(0, 13), 'main', '0.000', '800 B']);
  t.match(cells((await cli('stats', '--pods')).out)[1], [POD.slice(0, 13), 'default', 'pod']);
  t.equal(JSON.parse((await cli('stats', '-o', 'json', 'main')).out).stats.length, 1);
  t.match(await cli('stats', 'nope'), { code: 1, err: /no container has the id or name "nope"/ });
});

t.test('stop, rm and rmp act on resolved ids and go on after a failure', async (t) => {
  const { cli, services } = await bench(t);
  t.match(await cli('stop', 'nope', 'main', '-t', '3'), { code: 1, out: 'main\n', err: /no container has the id or name "nope"/ });
  t.match(called(services, 'containers.stop'), [[CONTAINER, 3]]);
  t.match(await cli('stop', '--pods', 'pod'), { code: 0, out: 'pod\n' });
  t.match(called(services, 'sandboxes.stop'), [[POD]]);

  t.match(await cli('rm', 'main'), { code: 1, err: /container main is running; stop it first .*\n {2}reason CONTAINER_STATE/ });
  t.equal((await cli('rm', '-a')).out, `${ENDED}\n`, 'only ended ones');
  t.equal((await cli('rm', '-f', 'main')).code, 0);
  t.match(called(services, 'containers.remove'), [[ENDED], [CONTAINER]]);
  t.equal((await cli('rm')).code, 2);
  t.equal((await cli('rm', '-a', 'main')).code, 2);

  t.match(await cli('rmp', 'pod'), { code: 1, err: /pod default\/pod is ready; stop it first .*\n {2}reason SANDBOX_READY/ });
  t.equal((await cli('rmp', '-a')).out, `${POD_2}\n`, 'only stopped ones');
  t.equal((await cli('rmp', '-f', 'default/pod')).code, 0);
  t.match(called(services, 'sandboxes.remove'), [[POD_2], [POD]]);
});

t.test('logs prints, joins, cuts and follows', async (t) => {
  const { cli, services } = await bench(t);
  const logPath = join(t.testdir(), 'x.log');
  const at = (text: string): string => `2026-01-02T03:04:05.6Z ${text}\n`;
  writeFileSync(logPath, `${at('stdout F one')}${at('stdout P tw')}${at('stderr F oops')}${at('stdout F o')}not a log line\n`);
  const running = containerRecord(CONTAINER, POD, { logPath });
  services.containerRecords.set(CONTAINER, running);
  t.same(await cli('logs', 'main'), { out: 'one\ntwo\nnot a log line\n', err: 'oops\n', code: 0 });
  t.same((await cli('logs', 'main', '--tail', '1')).out, 'not a log line\n');
  t.match((await cli('logs', 'main', '-t')).out, /^2026-01-02T03:04:05\.6Z one\n/);
  t.equal((await cli('logs', 'main', '--since', '1h')).err, '', 'older lines are left out');
  const following = cli('logs', 'main', '-f', '--tail', '0');
  writeFileSync(logPath, at('stdout F more'), { flag: 'a' });
  services.containerRecords.set(CONTAINER, { ...running, exit: { exitCode: 0, finishedAtNs: 1n, reason: 'Completed', message: '' } });
  t.match(await following, { code: 0, err: '' });
  services.containerRecords.set(CONTAINER, { ...running, logPath: '' });
  t.match(await cli('logs', 'main'), { code: 1, err: /container main keeps no log.*\n {2}reason LOG_FAILED/ });
});

t.test('events are printed as they come', async (t) => {
  const { harness, services } = await bench(t);
  const terminal = new RecordingTerminal();
  const running = runOn(terminal, ['events', '--socket', `unix://${harness.socket}`]);
  while (services.events.subscribers === 0) await new Promise((resolve) => setImmediate(resolve));
  const sandbox = services.sandboxRecords.get(POD)!;
  services.events.publish({ kind: 'stopped', sandboxId: POD, containerId: ENDED, atNs: 1_767_323_045_000_000_000n, sandbox });
  services.events.publish({ kind: 'deleted', sandboxId: POD, containerId: POD, atNs: 1_767_323_046_000_000_000n, sandbox });
  services.events.close();
  t.same(await running, {
    out: '2026-01-02T03:04:05.000Z  STOPPED  c2c2c2c2c2c2c  default/pod  side  exit code 137, OOMKilled\n2026-01-02T03:04:06.000Z  DELETED  a1a1a1a1a1a1a  default/pod  (pod)\n',
    err: '',
    code: 0,
  });
});

t.test('version and info', async (t) => {
  const { cli } = await bench(t);
  t.match((await cli('version')).out, /^Client: {2}berth \d+\.\d+\.\d+ \(Node 26\.[\d.]+\)\nDaemon: {2}berth 0\.1\.0-test \(CRI v1\)\n$/);
  t.match(JSON.parse((await cli('version', '-o', 'json')).out), { server: { runtimeName: 'berth' } });
  const info = (await cli('info')).out;
  t.match(info, /^berth 0\.1\.0-test at .*\n\nCONDITION +STATUS +REASON +MESSAGE\nRuntimeReady +True/);
  t.match(info, /\ncgroup\n {2}driver: +cgroupfs\n {2}mode: +hybrid\n/);
  t.match(info, /\nconfig\n {2}socket: /, 'only what can be configured');
  t.match(info, /handlers\.0\.problem: +drop all controllers/);
  t.match(JSON.parse((await cli('info', '-o', 'json')).out), { info: { cgroup: { driver: 'cgroupfs' } } });
});

/** Directories of pod logs below a root. */
const logDirectories = (root: string): string[] => (existsSync(join(root, 'logs')) ? readdirSync(join(root, 'logs')) : []);

t.test('run makes a pod with a log directory, starts a container and prints its id', async (t) => {
  const { cli, services, root } = await bench(t);
  const argv = [
    'run',
    '--name',
    'web',
    '-n',
    'apps',
    '-p',
    '8080:80',
    '-m',
    '64Mi',
    '--cpus',
    '500m',
    '-e',
    'A=1',
    'docker.io/library/busybox:1',
  ];
  t.same(await cli(...argv, '--', 'sleep', '9'), { out: 'new-container\n', err: '', code: 0 });
  t.equal(called(services, 'images.pull').length, 0, 'the image is there');
  const pod = called(services, 'sandboxes.run')[0]![0] as SandboxSpec;
  t.match(pod.metadata, { name: 'web', namespace: 'apps', attempt: 0 });
  t.match(pod.portMappings, [{ protocol: 'tcp', hostPort: 8080, containerPort: 80 }]);
  t.equal(pod.logDirectory, join(root, 'logs', `apps_web_${pod.metadata.uid}`));
  t.same(logDirectories(root), [`apps_web_${pod.metadata.uid}`]);
  const [sandboxId, container] = called(services, 'containers.create')[0] as [string, ContainerSpec];
  t.equal(sandboxId, 'new-sandbox');
  t.match(container, { metadata: { name: 'web' }, image: { image: IMAGE_ID }, args: ['sleep', '9'], command: [], logPath: 'web.log' });
  t.match(container.resources, { cpuPeriod: 100_000n, cpuQuota: 50_000n, cpuShares: 512n, memoryLimitBytes: 67_108_864n });
  t.ok(container.security.maskedPaths.includes('/proc/kcore'));
  t.equal(container.security.seccomp?.type, 'runtime-default');
  t.same(called(services, 'containers.start')[0]?.[0], 'new-container');
});

t.test('run pulls what is not there', async (t) => {
  const { cli, services } = await bench(t);
  t.equal((await cli('run', 'docker.io/library/other:1')).code, 0);
  t.equal(called(services, 'images.pull')[0]?.[0], 'docker.io/library/other:1');
});

t.test('run leaves nothing behind when a step fails', async (t) => {
  for (const step of ['sandboxes.run', 'containers.create', 'containers.start']) {
    const { cli, services, root } = await bench(t);
    services.overrides.set(step, () => {
      throw new RuntimeError('internal', 'CREATE_FAILED', `${step} broke`);
    });
    t.match(
      await cli('run', 'docker.io/library/busybox:1'),
      { code: 1, out: '', err: `berth: ${step} broke\n  reason CREATE_FAILED` },
      step,
    );
    t.same(logDirectories(root), [], step);
    t.equal(called(services, 'sandboxes.remove').length, step === 'sandboxes.run' ? 0 : 1, step);
    t.equal(called(services, 'containers.remove').length, step === 'containers.start' ? 1 : 0, step);
  }
});

t.test('run --pod adds to a pod, and a failure leaves that pod alone', async (t) => {
  const { cli, services } = await bench(t);
  t.equal((await cli('run', '--pod', 'default/pod', '--name', 'extra', 'docker.io/library/busybox:1')).code, 0);
  t.match(called(services, 'containers.create')[0], [POD, { metadata: { name: 'extra' } }]);
  t.equal(called(services, 'sandboxes.run').length, 0);
  services.overrides.set('containers.create', () => {
    throw new RuntimeError('already-exists', 'CONTAINER_EXISTS', 'there is one');
  });
  t.equal((await cli('run', '--pod', 'pod', 'docker.io/library/busybox:1')).code, 1);
  t.equal(called(services, 'sandboxes.remove').length, 0);
  t.match(await cli('run', '--pod', 'pod', '-p', '1:2', 'x'), { code: 2, err: /--publish cannot go with --pod/ });
});

t.test('run --attach --rm follows the output, ends with the container’s code and removes everything', async (t) => {
  const { cli, services, root } = await bench(t);
  services.overrides.set('containers.start', () => {
    const { logDirectory } = called(services, 'sandboxes.run')[0]![0] as SandboxSpec;
    const logPath = join(logDirectory, 'web.log');
    writeFileSync(logPath, '2026-01-02T03:04:05Z stdout F hello\n2026-01-02T03:04:05Z stderr P bye');
    const exit = { exitCode: 4, finishedAtNs: 2n, reason: 'Error', message: '' } as const;
    services.containerRecords.set('new-container', containerRecord('new-container', 'new-sandbox', { logPath, exit }));
  });
  t.same(await cli('run', '--name', 'web', '--attach', '--rm', 'docker.io/library/busybox:1'), { out: 'hello\n', err: 'bye\n', code: 4 });
  t.same(called(services, 'sandboxes.remove')[0]?.[0], 'new-sandbox');
  t.same(logDirectories(root), []);
});

t.test('run refuses the name of a pod that is there', async (t) => {
  const { cli, services, root } = await bench(t);
  const err =
    'berth: there is a pod default/pod already (a1a1a1a1a1a1a); choose another --name, add to it with --pod, or remove it first (berth rmp -f)\n';
  t.match(await cli('run', '--name', 'pod', 'docker.io/library/busybox:1'), { out: '', err, code: 1 });
  t.equal(called(services, 'sandboxes.run').length, 0);
  t.same(logDirectories(root), []);
  t.equal((await cli('run', '--name', 'pod', '-n', 'elsewhere', 'docker.io/library/busybox:1')).code, 0);
});

t.test('rmp removes the logs of pods that run made, and no others', async (t) => {
  const { cli, root } = await bench(t);
  for (const name of ['kube_old_u2', 'default_pod_uid-pod']) mkdirSync(join(root, 'logs', name), { recursive: true });
  t.equal((await cli('rmp', 'old')).code, 0);
  t.same(logDirectories(root), ['default_pod_uid-pod']);
});

t.test('names that could lead out of the log directory are refused', async (t) => {
  const { cli, services } = await bench(t);
  t.match(await cli('run', '--name', '../../etc', 'docker.io/library/busybox:1'), { code: 1, err: /cannot name a pod/ });
  t.equal(called(services, 'sandboxes.run').length, 0);
});
