/**
 * The fields of /proc/PID/stat that identify a process (proc_pid_stat(5)).
 * The command's name stands in parentheses and may hold anything, also spaces
 * and parentheses: what follows its last `)` is safe to split.
 */

/** What this runtime needs of the line. */
export interface ProcStat {
  /** One letter; Z is a zombie, X and x are dead. */
  readonly state: string;
  readonly parentPid: number;
  /** When it started, in clock ticks since boot: with the pid, unique on this boot. */
  readonly startTicks: bigint;
}

/** Positions after the command's name; the state is field 3 of the line. */
const STATE = 0;
const PARENT = 1;
const START = 19;

/** Reads one line; `undefined` when it is not of that form. */
export function parseProcStat(line: string): ProcStat | undefined {
  const end = line.lastIndexOf(')');
  if (end < 0) return undefined;
  const fields = line.slice(end + 2).split(' ');
  const [state, parent, start] = [fields[STATE], fields[PARENT], fields[START]];
  if (state === undefined || parent === undefined || start === undefined || !/^\d+\s*$/.test(start)) return undefined;
  return { state, parentPid: Number(parent), startTicks: BigInt(start.trim()) };
}
