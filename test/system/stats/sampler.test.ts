/** The sampler over real cgroups: a pod below a shared parent and one with a parent of its own. */
import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import t from 'tap';
import { createLogger } from '../../../src/log/index.ts';
import { createSampler } from '../../../src/stats/index.ts';
import { container, sandbox } from '../../fixtures/samples.ts';
import { host, missing, until } from '../cgroup/host.ts';

const lacking = missing();

t.test('a busy container is seen in its own figures and in its pod’s', { skip: lacking === '' ? false : `needs ${lacking}` }, async (t) => {
  const { cgroups, parent, leaf, run } = host(t);
  const [pause, busy] = [leaf(), leaf()];
  await run(pause, 'exec sleep 600');
  await run(busy, 'while :; do :; done');
  const own = cgroups.leafPath(`${parent}-own/pod${randomBytes(4).toString('hex')}`, randomBytes(32).toString('hex'));
  cgroups.create(own);
  t.teardown(() => cgroups.remove(own));
  await run(own, 'exec sleep 600');
  const pods = [sandbox('shared', { cgroupPath: pause, pins: {} }), sandbox('own', { cgroupPath: own, pins: {} })];
  const sampler = createSampler({
    sandboxes: { list: () => pods },
    containers: { list: () => [container('busy', 'shared', { cgroupPath: busy })] },
    cgroups,
    network: { stats: () => [] },
    writableLayer: async () => undefined,
    defaultCgroupParent: parent,
    log: createLogger({ level: 'silent' }),
  });
  t.teardown(() => sampler.close());
  await sampler.sample(-1);
  await until(() => cgroups.read(busy)!.cpu.usageNs > 100_000_000n, '100 ms of cpu');
  await new Promise((resolve) => setTimeout(resolve, 600));
  const [shared, alone] = await sampler.sample(-1);
  const figures = shared!.containers[0]!;
  t.ok(figures.usageNanoCores! > 0n && figures.usageNanoCores! <= 1_100_000_000n, `${figures.usageNanoCores} of one core`);
  t.equal(shared!.cgroupPath, undefined);
  t.ok(shared!.cgroup!.cpu.usageNs >= figures.cgroup.cpu.usageNs);
  t.equal(shared!.processCount, 2);
  t.equal(alone!.cgroupPath, dirname(own));
  t.equal(alone!.processCount, 1);
  t.equal(alone!.cgroup!.pids.current, 1n, 'the pod’s own cgroup counts what is below it');
});
