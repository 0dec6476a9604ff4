import '../../fixtures/private-netns.ts';
import t, { type Test } from 'tap';
import { imageService, runtimeService } from '../../../src/gen/index.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { leftovers } from '../../fixtures/leftovers.ts';
import { busyboxImage, Pods } from '../../fixtures/pods.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const registry = await startRegistry(t);
const built = busyboxImage();
const image = await registry.pushImage('test/busybox', '1', built);
const daemon = await startDaemon(t);
const { client } = daemon;
const pods = new Pods(daemon, image);

/** Deadlines of callers that lose patience before, while and shortly after the work is done. */
const IMPATIENCE_MS = [1, 1, 4, 8, 15, 25, 40, 60, 1, 1, 1];

/** Calls with each deadline in turn, until one is met; whoever loses patience gets DEADLINE_EXCEEDED and nothing else. */
async function impatiently(t: Test, call: (timeoutMs: number) => Promise<string>): Promise<string> {
  for (const timeoutMs of [...IMPATIENCE_MS, 60_000]) {
    try {
      return await call(timeoutMs);
    } catch (error) {
      t.match(error, { name: 'CallError', status: 'DEADLINE_EXCEEDED' });
    }
  }
  throw new Error('not even the patient caller was answered');
}

t.test('a pull that its caller gave up is begun anew or finished by the next', async (t) => {
  const id = await impatiently(t, async (timeoutMs) => {
    const { imageRef } = await client.call(imageService.PullImage, { image: { image } }, { timeoutMs });
    return imageRef;
  });
  t.equal(id, built.id);
});

t.test('a pod whose caller gave up is handed to the retry, however often that gives up too', async (t) => {
  const config = pods.sandbox();
  const run = async (timeoutMs: number) => (await client.call(runtimeService.RunPodSandbox, { config }, { timeoutMs })).podSandboxId;
  const sandbox = await impatiently(t, run);
  const { items } = await client.call(runtimeService.ListPodSandbox, {});
  t.same(
    items?.map(({ id }) => id),
    [sandbox],
    'there is one sandbox, the one that was told of',
  );

  const container = pods.container('c', 'exec sleep 1000');
  const create = async (timeoutMs: number) =>
    (await client.call(runtimeService.CreateContainer, { podSandboxId: sandbox, config: container }, { timeoutMs })).containerId;
  const id = await impatiently(t, create);
  const { containers } = await client.call(runtimeService.ListContainers, {});
  t.same(
    containers?.map((each) => each.id),
    [id],
  );
  await client.call(runtimeService.StartContainer, { containerId: id });
  await t.rejects(create(60_000), { name: 'CallError', reason: 'CONTAINER_EXISTS' }, 'one that was started is nobody’s retry');
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
  t.same(await leftovers(daemon), []);
});

t.test('an answer lost with the daemon is given again', async (t) => {
  const config = pods.sandbox();
  const sandbox = await pods.run(config);
  const container = pods.container('c', 'exec sleep 1000');
  await daemon.kill();
  await daemon.start();
  t.equal(await pods.run(config), sandbox);
  const id = await pods.create(sandbox, container);
  await daemon.kill();
  await daemon.start();
  t.equal(await pods.create(sandbox, container), id);
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
  t.same(await leftovers(daemon), []);
});
