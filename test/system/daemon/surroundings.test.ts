import '../../fixtures/private-netns.ts';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Long from 'long';
import t from 'tap';
import { cri, runtimeService } from '../../../src/gen/index.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { leftovers } from '../../fixtures/leftovers.ts';
import { busyboxImage, Pods } from '../../fixtures/pods.ts';
import { processesWith } from '../../fixtures/processes.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const registry = await startRegistry(t);
const image = await registry.pushImage('test/busybox', '1', busyboxImage());
// directories whose names the tables of the kernel escape
const home = mkdtempSync(join(tmpdir(), 'berth e2e '));
t.teardown(() => rmSync(home, { recursive: true }));
const daemon = await startDaemon(t, { set: [`root=${home}/lib x`, `state=${home}/run x`] });
const places = { ...daemon, root: `${home}/lib x`, state: `${home}/run x` };
const { client } = daemon;
const pods = new Pods(daemon, image);
await pods.pull();
const remove = (podSandboxId: string) => client.call(runtimeService.RemovePodSandbox, { podSandboxId });
const hierarchies = readdirSync('/sys/fs/cgroup').map((name) => `/sys/fs/cgroup/${name}`);

t.test('a pod lives below a cgroup that kubelet made, which outlives it', async (t) => {
  const made = ['', '/kubepods', '/kubepods/besteffort', '/kubepods/besteffort/pod1'].map((name) => daemon.cgroupParent + name);
  for (const path of made) for (const mount of hierarchies) mkdirSync(mount + path, { recursive: true });
  t.teardown(() => {
    for (const path of made.reverse()) for (const mount of hierarchies) rmdirSync(mount + path);
  });
  const parent = made.at(-1) ?? '';
  const sandbox = await pods.run(pods.sandbox({ linux: { cgroupParent: parent } }));
  const id = await pods.start(sandbox, pods.container('c', 'exec sleep 1000'));
  t.match((await pods.exec(id, 'cat', '/proc/self/cgroup')).out, `${parent}/`);
  await remove(sandbox);
  t.ok(
    hierarchies.every((mount) => existsSync(mount + parent)),
    'what kubelet made is kubelet’s to remove',
  );
  t.same(await leftovers(places), []);
});

t.test('a log that cannot be written is told by its path, and nothing is left', async (t) => {
  const readonly = join(daemon.dir, 'readonly');
  mkdirSync(readonly);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', readonly]);
  t.teardown(() => execFileSync('umount', [readonly]));
  mkdirSync(join(daemon.dir, 'taken', 'c.log'), { recursive: true });
  for (const [logDirectory, code] of [
    [readonly, 'EROFS'],
    [join(daemon.dir, 'taken'), 'EISDIR'],
    [join(daemon.dir, 'berth.log'), 'EEXIST'],
  ]) {
    const sandbox = await pods.run(pods.sandbox({ logDirectory }));
    await t.rejects(pods.create(sandbox, pods.container('c', 'true')), {
      name: 'CallError',
      status: 'FAILED_PRECONDITION',
      reason: 'LOG_FAILED',
      message: new RegExp(`${logDirectory}/c\\.log cannot be written: ${code}`),
    });
    await remove(sandbox);
  }
  t.same(await leftovers(places), []);
});

t.test('what a container leaves running ends with it, whichever processes it sees', async (t) => {
  for (const pid of [cri.NamespaceMode.CONTAINER, cri.NamespaceMode.POD, cri.NamespaceMode.NODE]) {
    const securityContext = { namespaceOptions: { pid } };
    const sandbox = await pods.run(pods.sandbox({ linux: { securityContext } }));
    const script = '(sleep 5551; echo late) & exit 4';
    const id = await pods.start(sandbox, pods.container('c', script, { linux: { resources: {}, securityContext } }));
    t.match(await pods.exited(id), { exitCode: 4, reason: 'Error' });
    await client.call(runtimeService.RemoveContainer, { containerId: id });
    t.same(processesWith('sleep 5551'), []);
    await remove(sandbox);
  }
});

t.test('a container whose monitor was killed while berth was away is stopped like any other', async (t) => {
  const sandbox = await pods.run();
  const id = await pods.start(sandbox, pods.container('c', 'exec sleep 1000'));
  await daemon.kill();
  for (const pid of processesWith(`--cid=${id}`)) process.kill(pid, 'SIGKILL');
  await daemon.start();
  t.equal((await pods.status(id)).state, cri.ContainerState.CONTAINER_RUNNING);
  await client.call(runtimeService.StopContainer, { containerId: id, timeout: Long.fromNumber(0) });
  t.match(await pods.status(id), { exitCode: 255, reason: 'Unknown', message: /monitor/ });
  await remove(sandbox);
  t.same(await leftovers(places), []);
});
