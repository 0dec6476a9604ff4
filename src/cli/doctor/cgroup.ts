/** How are cgroups mounted, and which limits can be set? */
import { type CgroupLayout, openCgroups } from '../../cgroup/index.ts';
import { type Check, type CheckGroup, type DoctorContext, fail, ok, warn } from './check.ts';

/** Without these a pod's limits cannot be kept. */
const NEEDED = ['cpu', 'memory', 'pids'];
/** Used when a pod asks for it, or for figures. */
const WANTED = ['cpuset'];
/** The same thing under its v1 name. */
const IO_CONTROLLERS = ['io', 'blkio'];

export const cgroupChecks: CheckGroup = {
  name: 'cgroup',
  run({ config }: DoctorContext): Check[] {
    const { layout, driver } = openCgroups({ driver: config.cgroup.driver });
    return [layoutCheck(layout), controllersCheck(layout), ok('cgroup.driver', `the ${driver} driver makes cgroups`)];
  },
};

/** Judges the layout. */
export function layoutCheck({ mode, unified }: CgroupLayout): Check {
  if (mode === 'v2') return ok('cgroup.layout', `cgroup v2 at ${unified}`);
  const what = mode === 'hybrid' ? 'cgroup v1 with a v2 hierarchy beside it' : 'cgroup v1';
  return warn(
    'cgroup.layout',
    `${what}: limits work, but pressure figures, memory.high and killing a whole cgroup at once do not; Kubernetes is dropping v1`,
    'boot with systemd.unified_cgroup_hierarchy=1, or with cgroup_no_v1=all',
  );
}

/** Judges the controllers. */
export function controllersCheck({ controllers }: CgroupLayout): Check {
  const lacks = (names: readonly string[]): string[] => names.filter((name) => !controllers.includes(name));
  const missing = lacks(NEEDED);
  const found = [...controllers].sort().join(' ');
  if (missing.length > 0) {
    return fail(
      'cgroup.controllers',
      `the controllers ${missing.join(', ')} are missing (there are: ${found})`,
      'enable them in the kernel and in cgroup.subtree_control of the root',
    );
  }
  const wanted = [...lacks(WANTED), ...(lacks(IO_CONTROLLERS).length === IO_CONTROLLERS.length ? ['io'] : [])];
  if (wanted.length > 0)
    return warn('cgroup.controllers', `the controllers ${wanted.join(', ')} are missing`, 'enable them when pods need them');
  return ok('cgroup.controllers', found);
}
