import '../../fixtures/private-netns.ts';
import Long from 'long';
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

t.test('the daemon ends while calls are in flight, and what they asked for can be asked again', async (t) => {
  const sandbox = await pods.run();
  const containerId = await pods.start(sandbox, pods.container('deaf', 'trap "" TERM; echo deaf; while :; do sleep 0.05; done'));
  const events = (async () => {
    for await (const _event of client.stream(runtimeService.GetContainerEvents, {}, new AbortController().signal));
  })().catch((error: unknown) => error);
  const inFlight = [
    client.call(runtimeService.StopContainer, { containerId, timeout: Long.fromNumber(600) }),
    client.call(runtimeService.ExecSync, { containerId, cmd: ['sleep', '600'] }),
    client.call(runtimeService.RunPodSandbox, { config: pods.sandbox() }),
  ];
  const settled = Promise.allSettled(inFlight);
  await pods.exec(containerId, 'echo'); // those before it have arrived
  t.equal(await daemon.stop(), 0, 'it ends by itself, in good order');
  await settled;
  await events;
  await daemon.start();
  t.equal((await pods.status(containerId)).state, cri.ContainerState.CONTAINER_RUNNING);
  await client.call(runtimeService.StopContainer, { containerId, timeout: Long.fromNumber(0) });
  t.match(await pods.status(containerId), { exitCode: 137 });
});
