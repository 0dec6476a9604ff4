/**
 * Finds out how the host mounts its cgroups from /proc/self/mountinfo. Pure:
 * text in, layout out. v2 is the target; a host where any controller sits on
 * a v1 hierarchy is hybrid (with a cgroup2 mount beside) or v1, and is read
 * by legacy.ts only.
 */
import { RuntimeError } from '../errors/index.ts';
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

interface Mount {
  point: string;
  type: string;
  superOptions: string[];
}

/** mountinfo writes space, tab, newline and backslash as octal (proc_pid_mountinfo(5)). */
const unescapeOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

function parseMounts(mountinfo: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ', 2);
    const point = before?.split(' ')[4];
    const [type, , superOptions] = (after ?? '').split(' ');
    if (point === undefined || type === undefined) continue;
    mounts.push({ point: unescapeOctal(point), type, superOptions: (superOptions ?? '').split(',') });
  }
  return mounts;
}

/** v1 controller -> mount point; a named hierarchy keeps its `name=` so that it is never taken for a controller. */
function legacyMounts(mounts: Mount[]): Record<string, string> {
  const legacy: Record<string, string> = {};
  for (const mount of mounts) {
    if (mount.type !== 'cgroup') continue;
    for (const option of mount.superOptions) {
      if (LEGACY_CONTROLLERS.has(option) || option.startsWith('name=')) legacy[option] ??= mount.point;
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
  const mounts = parseMounts(mountinfo).filter((mount) => mount.point === root || mount.point.startsWith(`${root}/`));
  const unified = mounts.find((mount) => mount.type === 'cgroup2')?.point;
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
