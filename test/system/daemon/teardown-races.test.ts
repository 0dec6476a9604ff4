import '../../fixtures/private-netns.ts';
import Long from 'long';
import t from 'tap';
import { cri, runtimeService } from '../../../src/gen/index.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { leftovers } from '../../fixtures/leftovers.ts';
import { busyboxImage, Pods } from '../../fixtures/pods.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const registry = await startRegistry(t);
const image = await registry.pushImage('test/busybox', '1', busyboxImage());
const daemon = await startDaemon(t);
const { client } = daemon;
const pods = new Pods(daemon, image);
await pods.pull();

const { CONTAINER_EXITED } = cri.ContainerState;
const containersOf = async (podSandboxId: string) =>
  (await client.call(runtimeService.ListContainers, { filter: { podSandboxId } })).containers ?? [];

t.test('a container that is being created when its pod is stopped never runs', async (t) => {
  const sandbox = await pods.run();
  const creating = Promise.allSettled(['a', 'b', 'c'].map((name) => pods.create(sandbox, pods.container(name, 'exec sleep 1000'))));
  await client.call(runtimeService.StopPodSandbox, { podSandboxId: sandbox });
  t.same(
    (await containersOf(sandbox)).filter(({ state }) => state !== CONTAINER_EXITED),
    [],
    'when the stop returns nothing waits to be started',
  );
  for (const outcome of await creating) {
    if (outcome.status === 'rejected') t.match(outcome.reason, { status: 'FAILED_PRECONDITION', reason: 'SANDBOX_NOT_READY' });
    else t.equal((await pods.status(outcome.value)).state, CONTAINER_EXITED);
  }
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
  t.same(await leftovers(daemon), []);
});

t.test('a container that is being created when its pod is removed goes with it', async (t) => {
  for (let round = 0; round < 3; round += 1) {
    const sandbox = await pods.run();
    const creating = Promise.allSettled(['a', 'b'].map((name) => pods.create(sandbox, pods.container(name, 'exec sleep 1000'))));
    await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
    t.same((await client.call(runtimeService.ListContainers, {})).containers ?? [], []);
    for (const outcome of await creating) {
      if (outcome.status === 'rejected') t.match(outcome.reason, { reason: /SANDBOX_NOT_(READY|FOUND)/ });
    }
    t.same(await leftovers(daemon), []);
  }
});

t.test('a created container is not started in a pod that has ended', async (t) => {
  const sandbox = await pods.run();
  const containerId = await pods.create(sandbox, pods.container('late', 'exec sleep 1000'));
  const { info } = await client.call(runtimeService.PodSandboxStatus, { podSandboxId: sandbox, verbose: true });
  process.kill((JSON.parse(info?.info ?? '{}') as { pid: number }).pid, 'SIGKILL');
  let state: unknown;
  for (let tries = 0; tries < 200 && state !== cri.PodSandboxState.SANDBOX_NOTREADY; tries += 1) {
    state = (await client.call(runtimeService.PodSandboxStatus, { podSandboxId: sandbox })).status?.state;
  }
  await t.rejects(client.call(runtimeService.StartContainer, { containerId }), {
    name: 'CallError',
    status: 'FAILED_PRECONDITION',
    reason: 'SANDBOX_NOT_READY',
  });
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
});

t.test('start, stop and remove of one container at once: each ends well, and nothing stays', async (t) => {
  const sandbox = await pods.run();
  for (let round = 0; round < 6; round += 1) {
    const containerId = await pods.create(sandbox, pods.container(`c${round}`, round % 2 === 0 ? 'exit 0' : 'exec sleep 1000'));
    const starting = client.call(runtimeService.StartContainer, { containerId }).catch((error: unknown) => {
      t.match(error, { name: 'CallError', reason: /START_FAILED|CONTAINER_STATE|CONTAINER_NOT_FOUND/ });
    });
    const timeout = Long.fromNumber(round % 3);
    const calls = [
      client.call(runtimeService.StopContainer, { containerId, timeout }),
      client.call(runtimeService.RemoveContainer, { containerId }),
      client.call(runtimeService.RemoveContainer, { containerId }),
      client.call(runtimeService.StopContainer, { containerId }),
    ];
    await Promise.all(calls);
    await starting;
    await t.rejects(pods.status(containerId), { name: 'CallError', status: 'NOT_FOUND' });
  }
  await Promise.all([1, 2, 3].map(() => client.call(runtimeService.StopPodSandbox, { podSandboxId: sandbox })));
  await Promise.all([1, 2, 3].map(() => client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox })));
  t.same(await leftovers(daemon), []);
});
