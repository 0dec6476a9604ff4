/** The pids controller: the same files in v1 and v2. pids.current counts tasks; cgroup.procs lists processes. */

import type { ReadFile } from './files.ts';
import { countLines, integer } from './parse.ts';
import type { PidsStats } from './types.ts';

/** Tasks, processes and limit; 0 tasks without the controller. */
export function readPids(read: ReadFile): PidsStats {
  const limit = integer(read('pids.max'));
  const procs = read('cgroup.procs');
  return {
    current: integer(read('pids.current')) ?? 0n,
    ...(procs !== undefined && { processes: countLines(procs) }),
    ...(limit !== undefined && { limit }),
  };
}
