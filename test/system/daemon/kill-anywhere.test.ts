import '../../fixtures/private-netns.ts';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import Long from 'long';
import t from 'tap';
import { runtimeService } from '../../../src/gen/index.ts';
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

/** How many kills, and how far apart in the pods' lives, which take some 300 ms; several pods, so that each kill meets several steps. */
const ROUNDS = 9;
const SLICE_MS = 37;
const STAGGER_MS = 23;

/** A pod from beginning to end; ends early with the daemon. */
async function life(index: number): Promise<void> {
  await delay(index * STAGGER_MS);
  const podSandboxId = await pods.run();
  const script = index === 0 ? 'exit 3' : 'trap "" TERM; while :; do sleep 0.1; done';
  const containerId = await pods.start(podSandboxId, pods.container('c', script));
  await client.call(runtimeService.StopContainer, { containerId, timeout: Long.fromNumber(0) });
  await client.call(runtimeService.RemoveContainer, { containerId });
  await client.call(runtimeService.StopPodSandbox, { podSandboxId });
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId });
}

/** Rows of the store that stand for something of a pod. */
function rows(): string[] {
  using db = new DatabaseSync(`${daemon.root}/berth.db`, { readOnly: true });
  return ['sandboxes', 'containers', 'attachments', 'addresses'].flatMap((table) =>
    db
      .prepare(`SELECT id FROM ${table}`)
      .all()
      .map(({ id }) => `${table} ${id}`),
  );
}

t.test('a kill at any moment of a pod’s life leaves what can be removed, and nothing else', async (t) => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const lives = Promise.allSettled([0, 1, 2].map(life));
    await delay(20 + round * SLICE_MS);
    await daemon.kill();
    for (const outcome of await lives) {
      if (outcome.status === 'rejected') t.match(outcome.reason, { name: 'DaemonUnreachable' }, 'no call fails but for the kill');
    }
    await daemon.start();
    const { items } = await client.call(runtimeService.ListPodSandbox, {});
    for (const { id } of items ?? []) await client.call(runtimeService.RemovePodSandbox, { podSandboxId: id ?? '' });
    t.same(await leftovers(daemon), [], `round ${round}: nothing is left on the machine`);
    t.same(rows(), [], `round ${round}: nor in the store`);
  }
});
