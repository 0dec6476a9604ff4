import t from 'tap';
import type { CgroupStats } from '../../../src/cgroup/index.ts';
import { type ContainerRecord, containerState } from '../../../src/container/index.ts';
import { createLogger } from '../../../src/log/index.ts';
import type { SandboxRecord } from '../../../src/sandbox/index.ts';
import { createSampler, type SamplerDeps } from '../../../src/stats/index.ts';
import { container, eth0, reading, sandbox } from '../../fixtures/samples.ts';

interface World {
  pods: SandboxRecord[];
  containers: ContainerRecord[];
  readings: Map<string, CgroupStats>;
  reads: string[];
  forgotten: string[];
}

function world(pods: SandboxRecord[], containers: ContainerRecord[]): World {
  const readings = new Map([...pods, ...containers].map((record) => [record.cgroupPath!, reading()]));
  return { pods, containers, readings, reads: [], forgotten: [] };
}

function sampler(w: World, change: Partial<SamplerDeps> = {}) {
  return createSampler({
    sandboxes: { list: () => w.pods },
    containers: { list: ({ state }) => w.containers.filter((record) => state === undefined || containerState(record) === state) },
    cgroups: {
      read: (path) => {
        w.reads.push(path);
        return w.readings.get(path);
      },
      forget: (path) => w.forgotten.push(path),
      leafPath: (parent, id) => `${parent}/berth-${id}`,
    },
    network: { stats: () => [eth0()] },
    writableLayer: async (id) => ({ timestampNs: 1n, mountpoint: '/var/lib/berth', usedBytes: BigInt(id.length), inodesUsed: 1n }),
    defaultCgroupParent: '/berth',
    log: createLogger({ level: 'silent' }),
    ...change,
  });
}

t.test('pods below the shared default parent are the sum of their leaves', async (t) => {
  const w = world(
    [sandbox('p')],
    [
      container('a', 'p'),
      container('b', 'p'),
      container('ended', 'p', { exit: { exitCode: 0, finishedAtNs: 1n, reason: 'Completed', message: '' } }),
    ],
  );
  const [pod] = await sampler(w).sample();
  t.equal(pod!.cgroupPath, undefined);
  t.equal(pod!.cgroup!.cpu.usageNs, 4_500_000_000n, 'two containers and the pause process');
  t.equal(pod!.cgroup!.memory.limitBytes, 3n * 4096n);
  t.same(pod!.cgroup!.io.devices, [{ device: '7:0', readBytes: 30n, writeBytes: 60n, reads: 3n, writes: 6n }]);
  t.equal(pod!.cgroup!.cpu.psi, undefined, 'pressure does not add up');
  t.equal(pod!.processCount, 6);
  t.same(
    pod!.containers.map((c) => c.record.id),
    ['a', 'b'],
    'running ones only',
  );
  t.same(
    pod!.interfaces.map((i) => i.name),
    ['eth0'],
  );
  t.equal(pod!.containers[0]!.writableLayer!.usedBytes, 1n, 'the first size is waited for');
  t.notOk(w.reads.includes('/berth'));
});

t.test('one limit unknown makes the sum unlimited', async (t) => {
  const w = world([sandbox('p')], [container('a', 'p')]);
  const { limitBytes: _, ...memory } = reading().memory;
  w.readings.set('/berth/berth-a', { ...reading(), memory });
  const [pod] = await sampler(w).sample();
  t.equal(pod!.cgroup!.memory.limitBytes, undefined);
});

t.test('a parent of the pod’s own is read itself; one that two pods share is not', async (t) => {
  const own = sandbox('own', { cgroupPath: '/kubepods/podX/berth-own' });
  const twins = ['t1', 't2'].map((id) => sandbox(id, { cgroupPath: `/shared/berth-${id}` }));
  const w = world([own, ...twins], []);
  w.readings.set('/kubepods/podX', reading(9n));
  w.readings.set('/shared', reading(9n));
  const pods = await sampler(w).sample();
  t.same(
    pods.map((pod) => pod.cgroupPath),
    ['/kubepods/podX', undefined, undefined],
  );
  t.equal(pods[0]!.cgroup!.cpu.usageNs, 9n);
  t.equal(pods[0]!.pause!.cpu.usageNs, 1_500_000_000n);
  t.equal(pods[1]!.cgroup!.cpu.usageNs, 1_500_000_000n);
});

t.test('cpu rate over two samples, repeated over a short one, dropped when the counter starts over', async (t) => {
  const w = world([sandbox('p')], [container('a', 'p')]);
  const s = sampler(w);
  const at = async (usageNs: bigint, ms: number) => {
    w.readings.set('/berth/berth-a', reading(usageNs, 1_700_000_000_000_000_000n + BigInt(ms) * 1_000_000n));
    return (await s.sample(-1))[0]!.containers[0]!.usageNanoCores;
  };
  t.equal(await at(0n, 0), undefined);
  t.equal(await at(500_000_000n, 2000), 250_000_000n);
  t.equal(await at(900_000_000n, 2100), 250_000_000n, 'too soon for a rate of its own');
  t.equal(await at(1_500_000_000n, 3000), 1_000_000_000n, 'since the last real one');
  t.equal(await at(5n, 4000), undefined);
});

t.test('callers at the same time share a run, later ones a fresh sample', async (t) => {
  const w = world([sandbox('p')], [container('a', 'p')]);
  const s = sampler(w);
  const [first, second] = await Promise.all([s.sample(), s.sample()]);
  t.equal(first, second);
  t.equal(await s.sample(60_000), first);
  const reads = w.reads.length;
  t.not(await s.sample(-1), first);
  t.equal(w.reads.length, reads * 2);
  t.equal((await s.container('a'))!.record.id, 'a');
  t.equal(await s.container('nope'), undefined);
  t.equal((await s.sandbox('p'))!.record.id, 'p');
});

t.test('what started a moment ago is in the next sample, what ended is not, however young the last one is', async (t) => {
  const w = world([sandbox('p')], [container('a', 'p')]);
  const s = sampler(w);
  const ids = async () => (await s.sample(60_000)).flatMap((pod) => pod.containers.map(({ record }) => record.id));
  t.same(await ids(), ['a']);
  w.containers = [...w.containers, container('b', 'p')];
  w.readings.set('/berth/berth-b', reading());
  t.same(await ids(), ['a', 'b']);
  w.containers = w.containers.slice(1);
  t.same(await ids(), ['b']);
  w.pods = [];
  t.same(await s.sample(60_000), []);
});

t.test('a container that starts while a run is under way is in the sample of whoever asks after that', async (t) => {
  const w = world([sandbox('p')], [container('a', 'p')]);
  const walk = Promise.withResolvers<undefined>();
  const s = sampler(w, { writableLayer: () => walk.promise });
  const early = s.sample();
  w.containers = [...w.containers, container('b', 'p')];
  w.readings.set('/berth/berth-b', reading());
  const [late, later] = [s.sample(), s.sample()];
  walk.resolve(undefined);
  t.equal((await early)[0]!.containers.length, 1);
  t.equal((await late)[0]!.containers.length, 2);
  t.equal(await late, await later, 'and they share one run');
});

t.test('what fails is left out and does not fail the rest', async (t) => {
  const w = world([sandbox('p'), sandbox('q')], [container('a', 'p'), container('gone', 'p')]);
  w.readings.delete('/berth/berth-gone');
  const s = sampler(w, {
    network: {
      stats: (path) => {
        if (path.includes('/p/')) throw new Error('no such namespace');
        return [eth0()];
      },
    },
    writableLayer: async () => {
      throw new Error('walk failed');
    },
  });
  const [p, q] = await s.sample();
  t.same(p!.interfaces, []);
  t.equal(q!.interfaces.length, 1);
  t.same(
    p!.containers.map((c) => c.record.id),
    ['a'],
  );
  t.equal(p!.containers[0]!.writableLayer, undefined);
});

t.test('host network has no figures of the pod', async (t) => {
  const { network: _, ...record } = sandbox('p');
  const [pod] = await sampler(world([record], [])).sample();
  t.same(pod!.interfaces, []);
});

t.test('descriptors of a container that ended are given back, all of them on close', async (t) => {
  const w = world([sandbox('p')], [container('a', 'p')]);
  const s = sampler(w);
  await s.sample();
  w.containers = [];
  await s.sample(-1);
  t.same(w.forgotten, ['/berth/berth-a']);
  s.close();
  t.same(w.forgotten, ['/berth/berth-a', '/berth/berth-p']);
  t.same(await s.sample(), []);
});

t.test('a slow walk of a layer does not hold the sample, and is not started twice', async (t) => {
  const w = world([sandbox('p')], [container('a', 'p')]);
  const walk = Promise.withResolvers<undefined>();
  let walks = 0;
  const s = sampler(w, {
    writableLayer: async () => {
      walks += 1;
      return walk.promise;
    },
  });
  t.equal((await s.sample())[0]!.containers[0]!.writableLayer, undefined);
  await s.sample(-1);
  t.equal(walks, 1);
  walk.resolve(undefined);
});

t.test('the event loop gets its turns while many containers are read', async (t) => {
  const w = world(
    [sandbox('p')],
    Array.from({ length: 60 }, (_, i) => container(`c${i}`, 'p')),
  );
  const busy = sampler(w, {
    cgroups: {
      read: (path) => {
        for (const end = performance.now() + 1; performance.now() < end; );
        return w.readings.get(path);
      },
      forget: () => undefined,
      leafPath: (parent, id) => `${parent}/berth-${id}`,
    },
  });
  let turns = 0;
  const turn = (): void => {
    turns += 1;
    next = setImmediate(turn);
  };
  let next = setImmediate(turn);
  await busy.sample();
  clearImmediate(next);
  t.ok(turns >= 10, `${turns} turns in 60 ms of work`);
});
