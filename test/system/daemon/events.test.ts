import '../../fixtures/private-netns.ts';
import t from 'tap';
import { cri, runtimeService } from '../../../src/gen/index.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { busyboxImage, Pods } from '../../fixtures/pods.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const registry = await startRegistry(t);
const image = await registry.pushImage('test/busybox', '1', busyboxImage());
const daemon = await startDaemon(t);
const { client } = daemon;
const pods = new Pods(daemon, image);
await pods.pull();

const TYPES = Object.keys(cri.ContainerEventType);

t.test('every step of a pod is an event, in order, with the pod’s state', async (t) => {
  const stop = new AbortController();
  const seen: { type: string; container: string; pod: string; ready: boolean; at: bigint }[] = [];
  const reading = (async () => {
    for await (const event of client.stream(runtimeService.GetContainerEvents, {}, stop.signal)) {
      seen.push({
        type: TYPES[event.containerEventType ?? 0] ?? '',
        container: event.containerId ?? '',
        pod: event.podSandboxStatus?.id ?? '',
        ready: event.podSandboxStatus?.state === cri.PodSandboxState.SANDBOX_READY,
        at: BigInt(String(event.createdAt)),
      });
    }
  })();
  await client.call(runtimeService.Version, {}); // the stream was opened before this on the same connection
  const sandbox = await pods.run();
  const id = await pods.start(sandbox, pods.container('quick', 'exit 0'));
  await pods.exited(id);
  await client.call(runtimeService.RemoveContainer, { containerId: id });
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
  for (let tries = 0; tries < 100 && seen.length < 8; tries += 1) await client.call(runtimeService.Version, {});
  stop.abort();
  await reading;
  t.same(
    seen.map(({ type, container }) => [type, container]),
    [
      ['CONTAINER_CREATED_EVENT', sandbox],
      ['CONTAINER_STARTED_EVENT', sandbox],
      ['CONTAINER_CREATED_EVENT', id],
      ['CONTAINER_STARTED_EVENT', id],
      ['CONTAINER_STOPPED_EVENT', id],
      ['CONTAINER_DELETED_EVENT', id],
      ['CONTAINER_STOPPED_EVENT', sandbox],
      ['CONTAINER_DELETED_EVENT', sandbox],
    ],
  );
  t.ok(
    seen.every(({ pod }) => pod === sandbox),
    'each carries the pod’s status, the last one too',
  );
  t.same(
    seen.map(({ ready }) => ready),
    [true, true, true, true, true, true, false, false],
  );
  t.ok(seen.every(({ at }, index) => index === 0 || at >= (seen[index - 1]?.at ?? 0n)));
});

t.test('a pause process that is killed makes the pod NOTREADY, and says so', async (t) => {
  const sandbox = await pods.run();
  const { info } = await client.call(runtimeService.PodSandboxStatus, { podSandboxId: sandbox, verbose: true });
  const { pid } = JSON.parse(info?.info ?? '{}') as { pid: number };
  process.kill(pid, 'SIGKILL');
  let state: unknown;
  for (let tries = 0; tries < 200 && state !== cri.PodSandboxState.SANDBOX_NOTREADY; tries += 1) {
    state = (await client.call(runtimeService.PodSandboxStatus, { podSandboxId: sandbox })).status?.state;
  }
  t.equal(state, cri.PodSandboxState.SANDBOX_NOTREADY);
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
});
