// What /proc says of a runtime's processes (proc(5)): memory, CPU time, and which processes are a runtime's own.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** USER_HZ, the unit of CPU times in /proc: 100 on every Linux that Debian builds. */
const TICKS_PER_SECOND = 100;
/** Resets VmHWM to the present VmRSS when written to clear_refs. */
const RESET_PEAK = '5';

/** Resident memory of one process. */
export const rssMib = (pid: number): number => statusMib(pid, 'VmRSS');

/** The most resident memory a process had since `resetPeakRss`, or since its start. */
export const peakRssMib = (pid: number): number => statusMib(pid, 'VmHWM');

/** Lets `peakRssMib` begin anew. */
export function resetPeakRss(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, RESET_PEAK);
}

/** User and system time of all threads of a process, and of its children that have ended. */
export function cpuSeconds(pid: number): number {
  // Behind the name: state is field 3 of stat, utime 14, stime 15, cutime 16, cstime 17.
  const times = statFields(pid).slice(14 - 3, 17 - 3 + 1);
  return times.reduce((total, ticks) => total + Number(ticks), 0) / TICKS_PER_SECOND;
}

/** Memory of several processes, pages that they share counted once. */
export function pssMib(pids: readonly number[]): number {
  // A process that ended between the listing and this read has no file any more and counts nothing.
  const kib = pids.map((pid) => Number(/^Pss:\s+(\d+) kB/m.exec(read(pid, 'smaps_rollup'))?.[1] ?? 0));
  return kib.reduce((total, each) => total + each, 0) / 1024;
}

/** Pids whose command line names one of `dirs`, and all their descendants. */
export function processesOf(dirs: readonly string[]): number[] {
  const parents = new Map<number, number>();
  const found = new Set<number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const pid = Number(name);
    parents.set(pid, Number(statFields(pid)[1] ?? 0));
    const command = read(pid, 'cmdline');
    if (dirs.some((dir) => command.includes(dir))) found.add(pid);
  }
  const isOurs = (pid: number): boolean => found.has(pid) || (pid > 1 && isOurs(parents.get(pid) ?? 0));
  return [...parents.keys()].filter((pid) => pid !== process.pid && isOurs(pid));
}

function statusMib(pid: number, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(read(pid, 'status'))?.[1] ?? Number.NaN) / 1024;
}

/** From field 3 (state) on: the name before it may hold spaces and parentheses. */
function statFields(pid: number): string[] {
  return read(pid, 'stat').split(') ').at(-1)?.split(' ') ?? [];
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // gone meanwhile
  }
}
