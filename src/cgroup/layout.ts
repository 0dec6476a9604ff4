/**
 * Finds out how the host mounts its cgroups from /proc/self/mountinfo. Pure:
 * text in, layout out. v2 is the target; a host where any controller sits on
 * a v1 hierarchy is hybrid (with a cgroup2 mount beside) or v1, and is read
 * by legacy.ts only.
 */
import { RuntimeError } from '../errors/index.ts';
import { type MountEntry, parseMountinfo } from '../sys/index.ts';
import type { CgroupLayout } from './types.ts';

/** Controllers of v1 hierarchies berth reads or puts processes in (cgroups(7)); other super options are not controllers. */
const LEGACY_CONTROLLERS = new Set([
  'cpu',
  'cpuacct',
  'cpuset',
  'memory',
  'devices',
  'freezer',
  'blkio',
  'pids',
  'hugetlb',
  'net_cls',
  'net_prio',
  'perf_event',
  'rdma',
  'misc',
]);

/**
 * Whether a path still leads to a mount. What was mounted over stays in the
 * table: containers and nodes in containers often cover /sys/fs/cgroup anew.
 */
function reachability(mounts: readonly MountEntry[]): (mount: MountEntry) => boolean {
  const byId = new Map(mounts.map((mount) => [mount.id, mount]));
  // the root of the tree is its own parent (proc_pid_mountinfo(5))
  const children = Map.groupBy(
    mounts.filter(({ id, parentId }) => id !== parentId),
    ({ parentId }) => parentId,
  );
  const led = (mount: MountEntry): boolean => {
    if (children.get(mount.parentId)?.some(({ target }) => isBelow(mount.target, target))) return false;
    const parent = byId.get(mount.parentId);
    return parent === undefined || parent === mount || led(parent);
  };
  return (mount) => !children.get(mount.id)?.some(({ target }) => target === mount.target) && led(mount);
}

const isBelow = (path: string, directory: string): boolean =>
  path !== directory && path.startsWith(directory === '/' ? '/' : `${directory}/`);

/** v1 controller -> mount point; a named hierarchy keeps its `name=` so that it is never taken for a controller. */
function legacyMounts(mounts: readonly MountEntry[]): Record<string, string> {
  const legacy: Record<string, string> = {};
  for (const mount of mounts) {
    if (mount.fsType !== 'cgroup') continue;
    for (const option of mount.superOptions) {
      if (LEGACY_CONTROLLERS.has(option) || option.startsWith('name=')) legacy[option] ??= mount.target;
    }
  }
  return legacy;
}

/**
 * The layout a mountinfo text describes.
 * @param root Only mounts at or below it count: others are somebody's view of the same hierarchies.
 * @param readControllers Reads cgroup.controllers of the v2 mount point.
 * @throws CGROUP_FAILED (precondition) when no cgroups are mounted there.
 */
export function detectLayout(mountinfo: string, root: string, readControllers: (unified: string) => string): CgroupLayout {
  const all = parseMountinfo(mountinfo);
  const mounts = all.filter(({ target }) => target === root || isBelow(target, root)).filter(reachability(all));
  const unified = mounts.find(({ fsType }) => fsType === 'cgroup2')?.target;
  const legacy = legacyMounts(mounts);
  const legacyControllers = Object.keys(legacy).filter((name) => !name.startsWith('name='));
  if (unified === undefined && legacyControllers.length === 0) {
    throw new RuntimeError(
      'precondition',
      'CGROUP_FAILED',
      `no cgroup hierarchy is mounted below ${root}; mount cgroup2 there (mount -t cgroup2 none ${root})`,
    );
  }
  if (legacyControllers.length > 0) {
    return {
      mode: unified === undefined ? 'v1' : 'hybrid',
      ...(unified !== undefined && { unified }),
      legacy,
      controllers: legacyControllers,
    };
  }
  const controllers = readControllers(unified ?? root)
    .split(/\s+/)
    .filter((name) => name !== '');
  return { mode: 'v2', ...(unified !== undefined && { unified }), legacy: {}, controllers };
}
