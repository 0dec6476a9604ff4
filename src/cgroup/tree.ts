/**
 * Directories of cgroups, in every hierarchy of the host at once: one on v2,
 * one per controller on v1. What berth makes carries the sticky bit, which
 * means nothing to cgroupfs and lives exactly as long as the directory, so
 * that berth knows its own after a restart; only such directories, and leaves
 * named for berth, are ever removed. Parents made by kubelet or by systemd
 * are left alone.
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';
import { isLeafName } from './paths.ts';
import type { CgroupLayout } from './types.ts';

const STICKY = 0o1000;
const MODE = 0o755;
/** v2 controllers whose figures or limits berth or the OCI runtimes use. */
const WANTED_CONTROLLERS = ['cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids'];
/** v1: a process can join only when both are set, and a new cgroup starts with none (cgroup-v1/cpusets.rst). */
const CPUSET_FILES = ['cpuset.cpus', 'cpuset.mems'];

/** Mount points of every hierarchy, each once; the cgroup2 side of a hybrid host is one of them. */
export function hierarchies(layout: CgroupLayout): string[] {
  const points = [...Object.values(layout.legacy), ...(layout.unified === undefined ? [] : [layout.unified])];
  return [...new Set(points)];
}

const failed = (what: string, path: string, error: unknown): RuntimeError =>
  new RuntimeError(
    'internal',
    'CGROUP_FAILED',
    `${what}: ${errnoOf(error) ?? messageOf(error)}; check the cgroup parent with \`berth doctor\``,
    {
      cause: error,
      detail: { path },
    },
  );

/** '/a', '/a/b', '/a/b/c' for '/a/b/c'. */
const levels = (path: string): string[] => {
  const parts = path.split('/').slice(1);
  return parts.map((_, depth) => `/${parts.slice(0, depth + 1).join('/')}`);
};

/** Makes the directories of `path` in one hierarchy and marks those that were not there. */
function makeIn(mount: string, path: string, prepare: (dir: string) => void): void {
  for (const level of levels(path)) {
    const dir = mount + level;
    try {
      // in one call: a mark set afterwards is missing when berth is killed in between
      mkdirSync(dir, { mode: MODE | STICKY });
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw failed(`cannot create cgroup ${level} in ${mount}`, dir, error);
    }
    prepare(dir);
  }
}

function isMarked(dir: string): boolean {
  return ((statSync(dir, { throwIfNoEntry: false })?.mode ?? 0) & STICKY) !== 0;
}

/** Gives a cpuset without cpus or memory nodes those of its parent, whoever made it: no process can join it or one below it otherwise. */
function inheritCpuset(dir: string): void {
  for (const file of CPUSET_FILES) {
    if (readFileSync(join(dir, file), 'latin1').trim() !== '') continue;
    writeFileSync(join(dir, file), readFileSync(join(dirname(dir), file), 'latin1').trim());
  }
}

/** Hands the wanted controllers of a v2 cgroup down to its children, as far as it has them. */
function delegateControllers(dir: string): void {
  const words = (file: string): string[] => readFileSync(join(dir, file), 'latin1').trim().split(/\s+/);
  const enabled = new Set(words('cgroup.subtree_control'));
  const available = new Set(words('cgroup.controllers'));
  for (const controller of WANTED_CONTROLLERS) {
    if (enabled.has(controller) || !available.has(controller)) continue;
    try {
      writeFileSync(join(dir, 'cgroup.subtree_control'), `+${controller}`);
    } catch (error) {
      // EBUSY: processes live in this cgroup itself. The leaf then lacks this controller's figures;
      // a container that asks for its limits fails in the OCI runtime, with the runtime's own words.
      if (errnoOf(error) !== 'EBUSY') throw failed(`cannot enable the ${controller} controller`, dir, error);
    }
  }
}

/** Makes a leaf and its parents in every hierarchy. Idempotent. */
export function makeTree(layout: CgroupLayout, path: string): void {
  if (layout.mode === 'v2' && layout.unified !== undefined) {
    for (const parent of ['', ...levels(path).slice(0, -1)]) {
      if (parent !== '') makeIn(layout.unified, parent, () => undefined);
      delegateControllers(layout.unified + parent);
    }
  }
  for (const mount of hierarchies(layout)) {
    makeIn(mount, path, mount === layout.legacy.cpuset ? inheritCpuset : () => undefined);
  }
}

/** Moves a process into a leaf in every hierarchy. */
export function joinTree(layout: CgroupLayout, path: string, pid: number): void {
  for (const mount of hierarchies(layout)) {
    try {
      writeFileSync(`${mount}${path}/cgroup.procs`, String(pid));
    } catch (error) {
      throw failed(`cannot move a process into cgroup ${dirname(path)} in ${mount}`, `${mount}${path}`, error);
    }
  }
}

/** A directory and all below it, deepest first; none when it is not there. */
export function descendants(dir: string): string[] {
  let entries: { name: string; isDirectory(): boolean }[];
  try {
    entries = readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw failed('cannot list a cgroup', dir, error);
  }
  return [...entries.filter((entry) => entry.isDirectory()).flatMap((entry) => descendants(join(dir, entry.name))), dir];
}

/** True when berth made the cgroup, or it is a leaf of berth's by name; in any hierarchy. */
export function isOurs(layout: CgroupLayout, path: string): boolean {
  return isLeafName(basename(path)) || hierarchies(layout).some((mount) => isMarked(mount + path));
}

/** True while the cgroup is there in any hierarchy. */
export function exists(layout: CgroupLayout, path: string): boolean {
  return hierarchies(layout).some((mount) => statSync(mount + path, { throwIfNoEntry: false }) !== undefined);
}

/** Removes an empty cgroup; ENOENT is success. False when it is busy still. */
function removeDir(dir: string): boolean {
  try {
    rmdirSync(dir);
  } catch (error) {
    if (errnoOf(error) === 'EBUSY' || errnoOf(error) === 'ENOTEMPTY') return false;
    if (errnoOf(error) !== 'ENOENT') throw failed('cannot remove a cgroup', dir, error);
  }
  return true;
}

/** Removes a cgroup and those below it, once; true when nothing is left in any hierarchy. */
export function removeTree(layout: CgroupLayout, path: string): boolean {
  let empty = true;
  for (const mount of hierarchies(layout)) {
    for (const dir of descendants(mount + path)) empty = removeDir(dir) && empty;
  }
  return empty;
}

/** Removes, upwards from `path`, the parents berth made that hold nothing any more. */
export function removeParents(layout: CgroupLayout, path: string): void {
  for (const mount of hierarchies(layout)) {
    for (const level of levels(path).slice(0, -1).reverse()) {
      if (!isMarked(mount + level) || !removeDir(mount + level)) break;
    }
  }
}
