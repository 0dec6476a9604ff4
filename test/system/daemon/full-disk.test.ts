import '../../fixtures/private-netns.ts';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import { cri, imageService, runtimeService } from '../../../src/gen/index.ts';
import { unmount } from '../../../src/sys/index.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { leftovers } from '../../fixtures/leftovers.ts';
import { busyboxImage, Pods } from '../../fixtures/pods.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const disk = mkdtempSync(join(tmpdir(), 'berth-disk-'));
t.teardown(() => {
  unmount(disk, { detach: true });
  rmSync(disk, { recursive: true });
});
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', disk]); // containers are run from it, so it is not noexec
const registry = await startRegistry(t);
const built = busyboxImage();
const image = await registry.pushImage('test/busybox', '1', built);
const other = await registry.pushImage(
  'test/other',
  '1',
  buildImage({
    layers: [{ entries: [{ path: 'noise', type: 'file', mode: 0o644, content: randomBytes(1 << 20) }], compression: 'gzip' }],
    config: {},
  }),
);
const daemon = await startDaemon(t, { set: [`root=${disk}/lib`] });
const places = { ...daemon, root: join(disk, 'lib') };
const { client } = daemon;
const pods = new Pods(daemon, image);

const BALLAST = join(disk, 'ballast');

/** Writes until nothing more goes onto the disk, to the last byte. */
function fill(): void {
  const fd = openSync(BALLAST, 'w');
  for (let bytes = 1 << 20; bytes >= 1; ) {
    try {
      writeSync(fd, Buffer.alloc(bytes));
    } catch {
      bytes >>= 1;
    }
  }
  closeSync(fd);
}

t.test('a full disk refuses what is new, tells what ends, and lets everything go', async (t) => {
  await pods.pull();
  const sandbox = await pods.run();
  const ending = await pods.start(sandbox, pods.container('ending', 'trap "exit 5" TERM; while :; do sleep 0.05; done'));
  const staying = await pods.start(sandbox, pods.container('staying', 'exec sleep 1000'));
  const created = await pods.create(sandbox, pods.container('created', 'exec sleep 1000'));
  fill();
  t.teardown(() => rmSync(BALLAST, { force: true }));

  await t.rejects(client.call(imageService.PullImage, { image: { image: other } }), {
    name: 'CallError',
    reason: 'DISK_FULL',
  });
  const { info } = await client.call(runtimeService.ContainerStatus, { containerId: ending, verbose: true });
  process.kill((JSON.parse(info?.info ?? '{}') as { pid: number }).pid, 'SIGTERM');
  t.match(await pods.exited(ending), { exitCode: 5 }, 'an end is told, whether or not it can be written down');
  await client.call(runtimeService.StopContainer, { containerId: created });
  const pause = await client.call(runtimeService.PodSandboxStatus, { podSandboxId: sandbox, verbose: true });
  process.kill((JSON.parse(pause.info?.info ?? '{}') as { pid: number }).pid, 'SIGKILL');
  let state: unknown;
  for (let tries = 0; tries < 200 && state !== cri.PodSandboxState.SANDBOX_NOTREADY; tries += 1) {
    state = (await client.call(runtimeService.PodSandboxStatus, { podSandboxId: sandbox })).status?.state;
  }
  t.equal(state, cri.PodSandboxState.SANDBOX_NOTREADY);
  t.equal((await pods.status(staying)).state, cri.ContainerState.CONTAINER_RUNNING);

  await daemon.kill();
  await daemon.start();
  t.match(await pods.status(ending), { exitCode: 5 }, 'berth starts on a full disk and knows the end again');
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
  await client.call(imageService.RemoveImage, { image: { image: built.id } });
  const { images } = await client.call(imageService.ListImages, {});
  t.same(images ?? [], [], 'an image can be removed: that is how a disk is freed');
  t.same(await leftovers(places), []);

  rmSync(BALLAST);
  await pods.pull();
  // it could not try its OCI runtimes on the full disk, and does so again
  let ready = false;
  for (let tries = 0; tries < 200 && !ready; tries += 1) {
    const { status } = await client.call(runtimeService.Status, {});
    ready = status?.conditions?.every((condition) => condition.status) === true;
    if (!ready) await delay(100);
  }
  const next = await pods.run();
  await pods.start(next, pods.container('next', 'exec sleep 1000'));
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: next });
  t.same(await leftovers(places), []);
});
