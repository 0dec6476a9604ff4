/** Lists, streams and events of the CRI edge over a real unix socket. */
import t, { type Test } from 'tap';
import { fromLong } from '../../../src/cri/int64.ts';
import { cri } from '../../../src/gen/index.ts';
import { failure, Harness } from '../../fixtures/cri/client.ts';
import { CREATED_NS, containerRecord, imageRecord, pullProgress, sandboxRecord, sandboxSpec } from '../../fixtures/cri/services.ts';

async function started(t: Test): Promise<Harness> {
  const harness = new Harness();
  t.teardown(() => harness[Symbol.asyncDispose]());
  await harness.start();
  return harness;
}

t.test('an empty list is an empty answer, an empty stream has no message', async (t) => {
  const { client } = await started(t);
  t.same((await client.unary('ListPodSandbox', {})).items, []);
  t.same((await client.unary('ListContainers', {})).containers, []);
  t.same((await client.unary('ListImages', {})).images, []);
  t.same((await client.unary('ListContainerStats', {})).stats, []);
  t.same((await client.unary('ListPodSandboxStats', {})).stats, []);
  for (const name of ['StreamPodSandboxes', 'StreamContainers', 'StreamImages', 'StreamContainerStats', 'StreamPodSandboxStats'] as const) {
    t.same(await client.all(name, {}), [], name);
  }
});

t.test('a streamed list is the list in batches of at least one item, without duplicates', async (t) => {
  const { client, services } = await started(t);
  const annotations = { note: 'n'.repeat(2000) };
  for (let at = 0; at < 500; at += 1)
    services.sandboxRecords.set(`s${at}`, sandboxRecord(`s${at}`, sandboxSpec(`pod${at}`, { annotations })));
  const messages = await client.all('StreamPodSandboxes', {});
  t.ok(messages.length > 2, 'more than two batches');
  t.ok(messages.every((message) => message.podSandboxes.length >= 1));
  const streamed = messages.flatMap((message) => message.podSandboxes.map((sandbox) => sandbox.id));
  t.same(
    streamed,
    (await client.unary('ListPodSandbox', {})).items.map((sandbox) => sandbox.id),
  );
  t.equal(new Set(streamed).size, 500);
});

t.test('a changed record changes the list, an unchanged one keeps its bytes', async (t) => {
  const { client, services } = await started(t);
  services.addPod('s1', 'c1');
  const state = async () => (await client.unary('ListContainers', {})).containers[0]?.state;
  t.equal(await state(), cri.ContainerState.CONTAINER_RUNNING);
  const exit = { exitCode: 137, finishedAtNs: CREATED_NS + 50n, reason: 'OOMKilled' as const, message: 'out of memory' };
  services.containerRecords.set('c1', containerRecord('c1', 's1', { exit }));
  t.equal(await state(), cri.ContainerState.CONTAINER_EXITED);
  const { status } = await client.unary('ContainerStatus', { containerId: 'c1' });
  t.match(status, { exitCode: 137, reason: 'OOMKilled', message: 'out of memory' });
  t.equal(fromLong(status!.finishedAt), CREATED_NS + 50n);
});

t.test('filters reach the domain as asked', async (t) => {
  const { client, services } = await started(t);
  services.addPod('s1', 'c1');
  services.sandboxRecords.set('s2', sandboxRecord('s2', undefined, { stoppedAtNs: 1n }));
  const filter = { state: { state: cri.PodSandboxState.SANDBOX_NOTREADY } };
  t.same(
    (await client.unary('ListPodSandbox', { filter })).items.map((item) => item.id),
    ['s2'],
  );
  const exited = { state: { state: cri.ContainerState.CONTAINER_EXITED } };
  t.same((await client.unary('ListContainers', { filter: exited })).containers, []);
  t.match(await failure(client.unary('ListContainers', { filter: { state: { state: 9 } } })), {
    code: 'INVALID_ARGUMENT',
    message: /filter\.state\.state is 9/,
  });
});

t.test('PodSandboxStatus has the pod, its containers and the time of both', async (t) => {
  const { client, services } = await started(t);
  services.addPod('s1', 'c1');
  const answer = await client.unary('PodSandboxStatus', { podSandboxId: 's1' });
  t.match(answer.status, { id: 's1', state: 0, network: { ip: '10.88.0.2', additionalIps: [{ ip: 'fd00::2' }] } });
  t.match(answer.status?.linux?.namespaces?.options, { network: 0, pid: 1, ipc: 0 });
  t.same(
    answer.containersStatuses.map((status) => status.id),
    ['c1'],
  );
  t.equal(fromLong(answer.timestamp), CREATED_NS + 100n);
  t.same(answer.info, {});
  const verbose = await client.unary('PodSandboxStatus', { podSandboxId: 's1', verbose: true });
  t.match(JSON.parse(verbose.info.info!), { pid: 4242, runtimeHandler: 'runc', config: { metadata: { name: 'pod' } } });
});

t.test('events carry the pod, the deletion of the sandbox included, and never go back in time', async (t) => {
  const { client, services } = await started(t);
  services.addPod('s1', 'c1');
  const sandbox = services.sandboxRecords.get('s1')!;
  const stream = client.stream('GetContainerEvents', {});
  await until(() => services.events.subscribers === 1);
  services.events.publish({ kind: 'started', sandboxId: 's1', containerId: 'c1', atNs: 100n, sandbox });
  services.events.publish({ kind: 'stopped', sandboxId: 's1', containerId: 'c1', atNs: 90n, sandbox });
  const seen: cri.ContainerEventResponse[] = [];
  for await (const event of stream) {
    seen.push(event as cri.ContainerEventResponse);
    if (seen.length === 2) {
      services.containerRecords.clear();
      services.sandboxRecords.clear();
      services.events.publish({ kind: 'deleted', sandboxId: 's1', containerId: 's1', atNs: 110n, sandbox });
    }
    if (seen.length === 3) break;
  }
  t.same(
    seen.map((event) => event.containerEventType),
    [1, 2, 3],
  );
  t.same(
    seen.map((event) => fromLong(event.createdAt)),
    [100n, 100n, 110n],
  );
  t.same(
    seen.map((event) => event.podSandboxStatus?.metadata?.uid),
    ['uid-pod', 'uid-pod', 'uid-pod'],
  );
  t.same(
    seen.map((event) => event.containersStatuses.length),
    [1, 1, 0],
  );
  stream.cancel();
  await until(() => services.events.subscribers === 0);
});

t.test('a reader of events that is too slow gets an error, not a gap', async (t) => {
  const { client, services } = await started(t);
  const sandbox = sandboxRecord('s1');
  const stream = client.stream('GetContainerEvents', {});
  await until(() => services.events.subscribers === 1);
  for (let at = 0; at < 5000; at += 1)
    services.events.publish({ kind: 'created', sandboxId: 's1', containerId: 's1', atNs: BigInt(at), sandbox });
  let read = 0;
  const failed = await failure(
    (async () => {
      for await (const _ of stream) read += 1;
    })(),
  );
  t.match(failed, { code: 'RESOURCE_EXHAUSTED', reason: 'EVENTS_LOST' });
  t.ok(read < 5000, 'some were lost');
});

t.test('a client that does not read does not fill the memory', async (t) => {
  const { client, services } = await started(t);
  const sandbox = sandboxRecord('s1', sandboxSpec('pod', { annotations: { note: 'n'.repeat(10_000) } }));
  const stream = client.stream('GetContainerEvents', {});
  stream.on('error', () => undefined);
  await until(() => services.events.subscribers === 1);
  let published = 0;
  while (services.events.subscribers === 1 && published < 50_000) {
    services.events.publish({ kind: 'created', sandboxId: 's1', containerId: 's1', atNs: 1n, sandbox });
    published += 1;
    if (published % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  t.ok(published < 50_000, `the subscription was closed after ${published}`);
  stream.cancel();
});

t.test('usage of containers and pods', async (t) => {
  const { client, services } = await started(t);
  services.addPod('s1', 'c1');
  const { stats } = await client.unary('ContainerStats', { containerId: 'c1' });
  t.equal(fromLong(stats!.memory!.availableBytes!.value), 1200n);
  t.equal(fromLong(stats!.cpu!.psi!.Some!.Total), 3_000_000n);
  const [pod] = (await client.unary('ListPodSandboxStats', { filter: { id: 's1' } })).stats;
  t.ok(pod?.linux, 'linux is set even without a pod cgroup');
  t.match(pod?.linux?.network?.defaultInterface, { name: 'eth0' });
  t.equal(pod?.linux?.containers.length, 1);
  t.same((await client.unary('ListContainerStats', { filter: { labelSelector: { a: 'b' } } })).stats, []);
  t.equal((await client.all('StreamContainerStats', {})).length, 1);
  t.match(await failure(client.unary('PodSandboxStats', { podSandboxId: 'gone' })), { code: 'NOT_FOUND' });
  services.containerRecords.set('c2', containerRecord('c2', 's1'));
  t.match(await failure(client.unary('ContainerStats', { containerId: 'c2' })), {
    code: 'FAILED_PRECONDITION',
    reason: 'CONTAINER_NOT_RUNNING',
  });
});

t.test('Status, RuntimeConfig and UpdateRuntimeConfig', async (t) => {
  const { client, services } = await started(t);
  const ready = await client.unary('Status', { verbose: true });
  t.match(ready.status?.conditions, [
    { type: 'RuntimeReady', status: true },
    { type: 'NetworkReady', status: true },
  ]);
  t.same(
    ready.runtimeHandlers.map((handler) => handler.name),
    ['', 'runc'],
    'the default and what is usable',
  );
  t.equal(ready.features, null);
  t.equal(JSON.parse(ready.info.config!).stateDir, '/run/berth');
  Object.assign(services.network, { ready: false, message: 'no CNI configuration' });
  for (const handler of services.handlers) handler.usable = false;
  const broken = await client.unary('Status', {});
  t.match(broken.status?.conditions, [
    { type: 'RuntimeReady', status: false, reason: 'NoUsableRuntime', message: /crun: drop all controllers/ },
    { type: 'NetworkReady', status: false, reason: 'NetworkPluginNotReady', message: 'no CNI configuration' },
  ]);
  t.same(broken.info, {});
  t.equal((await client.unary('RuntimeConfig', {})).linux?.cgroupDriver, cri.CgroupDriver.CGROUPFS);
  await client.unary('UpdateRuntimeConfig', { runtimeConfig: { networkConfig: { podCidr: '10.9.0.0/24' } } });
  await client.unary('UpdateRuntimeConfig', {});
  t.same(
    services.calls.map((call) => call.args),
    [['10.9.0.0/24']],
  );
});

t.test('images', async (t) => {
  const { client, services } = await started(t);
  t.equal((await client.unary('ImageStatus', { image: { image: 'absent' } })).image, null, 'absent is success');
  services.imageRecords.push(imageRecord());
  const answer = await client.unary('ImageStatus', { image: { image: 'docker.io/library/busybox:1' }, verbose: true });
  t.match(answer.image, { pinned: true, username: '' });
  t.equal(fromLong(answer.image!.uid!.value), 1000n);
  t.match(JSON.parse(answer.info.info!), { imageSpec: { config: { User: '1000:1000', Cmd: ['sh'] } } });
  t.equal((await client.unary('ListImages', { filter: { image: { image: 'other' } } })).images.length, 0);
  t.equal((await client.all('StreamImages', {})).length, 1);
  const { imageFilesystems } = await client.unary('ImageFsInfo', {});
  t.match(imageFilesystems, [{ fsId: { mountpoint: '/var/lib/berth' } }]);
  t.match(await failure(client.unary('RemoveImage', {})), { code: 'INVALID_ARGUMENT', message: 'image is missing' });
});

t.test('WatchPulls tells the state at once and then each change', async (t) => {
  const { client, services } = await started(t);
  services.pulls = [pullProgress({ reference: 'r/x:1', state: 'resolving' })];
  t.match(await client.all('WatchPulls', { once: true }), [{ pulls: [{ reference: 'r/x:1', state: 0 }] }]);
  const stream = client.stream('WatchPulls', {});
  const states: number[] = [];
  for await (const message of stream) {
    states.push((message as { pulls: { state: number }[] }).pulls[0]!.state);
    if (states.length === 2) break;
    services.pulls = [{ ...services.pulls[0]!, state: 'done' }];
    const { resolve } = services.pullsChange;
    services.pullsChange = Promise.withResolvers();
    resolve();
  }
  t.same(states, [0, 2]);
});

/** Polls; the test's own time limit ends it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}
