/** Races of a stop with the container's own end, which no real container shows on demand. */
import t from 'tap';
import type { ContainerHost } from '../../../src/container/host.ts';
import { Stops } from '../../../src/container/stop.ts';
import { RuntimeError } from '../../../src/errors/index.ts';
import { container } from '../../fixtures/samples.ts';

/** A container that ends when `by` is called; the OCI runtime cannot kill it, since its cgroup is gone or broken. */
function world(by: 'runtime' | 'cgroup') {
  const exit = Promise.withResolvers<void>();
  const calls: string[] = [];
  const called = (what: 'runtime' | 'cgroup'): void => {
    calls.push(what);
    if (what === by) exit.resolve();
  };
  const runtime: Pick<ContainerHost['runtime'], 'kill'> = {
    async kill() {
      called('runtime');
      throw new RuntimeError('internal', 'PROGRAM_FAILED', 'lstat /sys/fs/cgroup/devices/berth-a: no such file or directory');
    },
  };
  const cgroups: Pick<ContainerHost['cgroups'], 'kill'> = {
    async kill() {
      called('cgroup');
    },
  };
  const host = { runtime, cgroups } as ContainerHost;
  return { calls, stops: new Stops({ host, exited: () => exit.promise, signaled: () => undefined }) };
}

t.test('a container that ends by itself while it is killed is stopped, whatever the runtime says of it', async (t) => {
  const { stops, calls } = world('runtime');
  await t.resolves(stops.stop(container('a', 'p'), 0));
  t.equal(calls[0], 'runtime');
});

t.test('when the runtime cannot kill, its cgroup is killed all the same', async (t) => {
  const { stops, calls } = world('cgroup');
  await t.resolves(stops.stop(container('a', 'p'), 0));
  t.same(calls, ['runtime', 'cgroup']);
});
