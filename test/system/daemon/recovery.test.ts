import '../../fixtures/private-netns.ts';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
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

for (const how of ['stop', 'kill'] as const) {
  t.test(`pods live through a ${how} of the daemon, and so do their words and ends`, async (t) => {
    const sandbox = await pods.run();
    const ticking = await pods.start(sandbox, pods.container('ticking', 'i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done'));
    const ending = await pods.start(sandbox, pods.container('ending', 'sleep 0.7; echo last words; exit 23'));
    const created = await pods.create(sandbox, pods.container('created', 'exit 5'));
    const before = await client.call(runtimeService.PodSandboxStatus, { podSandboxId: sandbox });
    const startedAt = (await pods.status(ticking)).startedAt;
    await daemon[how]();
    await delay(1200); // meanwhile one container ends, the other goes on
    await daemon.start();

    const after = await client.call(runtimeService.PodSandboxStatus, { podSandboxId: sandbox });
    t.equal(after.status?.state, cri.PodSandboxState.SANDBOX_READY);
    t.same(after.status?.network, before.status?.network, 'the address is the same');
    t.match(await pods.status(ending), { state: cri.ContainerState.CONTAINER_EXITED, exitCode: 23, reason: 'Error' });
    t.match(readFileSync((await pods.status(ending)).logPath ?? '', 'utf8'), /last words/);
    const running = await pods.status(ticking);
    t.equal(running.state, cri.ContainerState.CONTAINER_RUNNING);
    t.same(running.startedAt, startedAt);
    const numbers = readFileSync(running.logPath ?? '', 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => Number(line.split(' ').at(-1)));
    t.same(numbers, [...numbers.keys()], 'not one log line is lost');
    t.ok(numbers.length > 60);
    t.match(await pods.exec(ticking, 'echo', 'still here'), { out: 'still here\n' });
    await client.call(runtimeService.StartContainer, { containerId: created });
    t.match(await pods.exited(created), { exitCode: 5 }, 'a created container can still be started');
    await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
  });
}

t.test('a kill at any moment of a pod’s start leaves nothing half-made', async (t) => {
  for (let round = 0; round < 10; round += 1) {
    const attempts = [0, 1].map(async () => {
      const sandbox = await pods.run();
      await pods.start(sandbox, pods.container('c', 'exec sleep 1000'));
    });
    const settled = Promise.allSettled(attempts);
    await delay(10 + round * 18);
    await daemon.kill();
    await settled;
    await daemon.start();
    const { items } = await client.call(runtimeService.ListPodSandbox, {});
    for (const { id, state } of items ?? []) {
      t.equal(state, cri.PodSandboxState.SANDBOX_READY, 'what is listed is whole');
      await client.call(runtimeService.RemovePodSandbox, { podSandboxId: id ?? '' });
    }
    t.same(await leftovers(daemon), [], `round ${round}: nothing is left`);
  }
});
