/** Races of a stop with the container's own end, which no real container shows on demand. */
import t from 'tap';
import type { ContainerHost } from '../../../src/container/host.ts';
import { Stops } from '../../../src/container/stop.ts';
import { RuntimeError } from '../../../src/errors/index.ts';
import { container } from '../../fixtures/samples.ts';

/** A container that ends at the kill of `by`; each kill also complains, as when the cgroup goes away under it. */
function world(by: 'cgroup' | 'runtime') {
  const exit = Promise.withResolvers<void>();
  const calls: string[] = [];
  const killed = async (what: 'cgroup' | 'runtime'): Promise<void> => {
    calls.push(what);
    if (what === by) exit.resolve();
    if (what === 'runtime')
      throw new RuntimeError('internal', 'PROGRAM_FAILED', 'lstat /sys/fs/cgroup/devices/berth-a: no such file or directory');
  };
  const host = { runtime: { kill: () => killed('runtime') }, cgroups: { kill: () => killed('cgroup') } } as unknown as ContainerHost;
  return { calls, stops: new Stops({ host, exited: () => exit.promise, signaled: () => undefined }) };
}

t.test('the kill of its cgroup ends a container; the runtime is not called', async (t) => {
  const { stops, calls } = world('cgroup');
  await t.resolves(stops.stop(container('a', 'p'), 0));
  t.same(calls, ['cgroup']);
});

t.test('what outlives its cgroup’s kill the runtime kills, whatever it says meanwhile', async (t) => {
  const { stops, calls } = world('runtime');
  await t.resolves(stops.stop(container('a', 'p'), 0));
  t.same(calls, ['cgroup', 'cgroup', 'runtime']);
});
