/**
 * Kills everything in a cgroup and below, so that a fork bomb cannot outrun
 * it: by cgroup.kill where the kernel has it (5.14, v2 and the cgroup2 side
 * of a hybrid host), else by freezing, signalling and thawing, again and
 * again until the cgroup is empty or the bound is reached.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sleep } from '../async/index.ts';
import { errnoOf, RuntimeError } from '../errors/index.ts';
import { pidList } from './parse.ts';
import { descendants, hierarchies } from './tree.ts';
import type { CgroupLayout } from './types.ts';

/** Rounds of signal and wait: 1, 2, 4 ... 64 ms, then 64 ms each, six seconds in all; after that a process is stuck in the kernel. */
const ROUNDS = 100;
const LONGEST_ROUND_MS = 64;

/** Milliseconds to wait after round 0, 1, 2...: most processes die at once, a few need a disk or a lock. */
export const roundMs = (round: number): number => Math.min(2 ** round, LONGEST_ROUND_MS);

/** Hierarchy in which a process is looked for: the one every OCI runtime joins last is as good as any. */
function mainHierarchy(layout: CgroupLayout): string[] {
  const mount = layout.legacy.pids ?? layout.legacy.memory ?? layout.legacy.cpuacct ?? layout.unified;
  return mount === undefined ? [] : [mount];
}

/** A file's text; '' when it or its cgroup is gone. */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ENODEV', 'EOPNOTSUPP'].includes(errnoOf(error) ?? '')) return '';
    throw error;
  }
}

/** Writes; false when the file or its cgroup is not there. */
function tryWrite(path: string, value: string): boolean {
  try {
    writeFileSync(path, value, { flag: 'r+' });
    return true;
  } catch (error) {
    if (['ENOENT', 'ENODEV'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

function pidsIn(mounts: readonly string[], path: string): number[] {
  const pids = mounts.flatMap((mount) => descendants(mount + path).flatMap((dir) => pidList(readOrEmpty(join(dir, 'cgroup.procs')))));
  return [...new Set(pids)];
}

/** Pids of live processes in a cgroup and below; zombies are not listed by the kernel. */
export const pidsOf = (layout: CgroupLayout, path: string): number[] => pidsIn(mainHierarchy(layout), path);

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error; // gone by itself
  }
}

/** One round: after it everything that was in the cgroup has SIGKILL pending. */
function killOnce(layout: CgroupLayout, path: string): void {
  if (layout.unified !== undefined) tryWrite(`${layout.unified}${path}/cgroup.kill`, '1');
  if (layout.mode === 'v2') {
    for (const pid of pidsOf(layout, path)) signal(pid); // a kernel without cgroup.kill; else nothing is left to signal
    return;
  }
  const freezer = layout.legacy.freezer;
  const state = `${freezer}${path}/freezer.state`;
  const frozen = freezer !== undefined && tryWrite(state, 'FROZEN');
  try {
    for (const pid of pidsIn(hierarchies(layout), path)) signal(pid);
  } finally {
    if (frozen) tryWrite(state, 'THAWED'); // v1 delivers the signal only to a thawed process
  }
}

/**
 * Kills until the cgroup is empty; an absent one is success.
 * @throws STOP_STUCK when a process does not die, CGROUP_FAILED (invalid) when berth itself is inside.
 */
export async function killTree(layout: CgroupLayout, path: string): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const pids = pidsIn(hierarchies(layout), path);
    if (pids.length === 0) return;
    if (pids.includes(process.pid)) {
      throw new RuntimeError(
        'invalid',
        'CGROUP_FAILED',
        `cgroup ${path} holds berth itself and is not killed; put berth in a cgroup of its own`,
      );
    }
    killOnce(layout, path);
    await sleep(roundMs(round));
  }
  throw new RuntimeError(
    'internal',
    'STOP_STUCK',
    'processes of a cgroup did not die after SIGKILL; look at what they wait for (/proc/PID/wchan)',
    {
      detail: { path, pids: pidsOf(layout, path) },
    },
  );
}
