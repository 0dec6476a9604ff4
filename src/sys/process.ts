/**
 * Processes that need not be our children, named by pid and start time. A pid
 * alone is never trusted: the number may belong to another process by now. A
 * zombie counts as gone, since nothing of it runs and only its parent's
 * tardiness shows.
 */
import { readFileSync } from 'node:fs';
import { errnoOf } from '../errors/index.ts';
import { check, closeFd, errnoNumber, lastErrno, libcFunction, SysError } from './libc.ts';
import { parseProcStat } from './proc-stat.ts';
import { reapAdopted } from './reap.ts';

/** A process beyond doubt: the pid and when it started, in clock ticks since boot. */
export interface ProcessRef {
  readonly pid: number;
  readonly startTicks: bigint;
}

// System calls that glibc before 2.36 does not wrap; the numbers are the same on every architecture.
const SYS_PIDFD_SEND_SIGNAL = 424;
const SYS_PIDFD_OPEN = 434;
/** prctl(2) PR_SET_CHILD_SUBREAPER */
const PR_SET_CHILD_SUBREAPER = 36;

const pidfdOpenCall = libcFunction('long syscall(long number, int pid, uint flags)');
const pidfdSendSignal = libcFunction('long syscall(long number, int pidfd, int signal, void *info, uint flags)');
const prctl = libcFunction('int prctl(int option, ulong a, ulong b, ulong c, ulong d)');

/** When process `pid` started; `undefined` when it is gone or a zombie. */
export function startTicks(pid: number): bigint | undefined {
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ESRCH') return undefined; // ESRCH: it went between open and read
    throw error;
  }
  const stat = parseProcStat(line);
  return stat === undefined || /^[ZXx]$/.test(stat.state) ? undefined : stat.startTicks;
}

/** True while that very process runs. */
export function isAlive(ref: ProcessRef): boolean {
  return startTicks(ref.pid) === ref.startTicks;
}

/**
 * Sends `signal` to that very process, never to another that has its number
 * now; false when it is gone. Throws SysError for anything but that.
 */
export function signalProcess(ref: ProcessRef, signal: number): boolean {
  const pidfd = openPidfd(ref);
  if (pidfd === undefined) return false;
  try {
    if (pidfdSendSignal(SYS_PIDFD_SEND_SIGNAL, pidfd, signal, null, 0) === 0) return true;
    const errno = lastErrno();
    if (errno === errnoNumber('ESRCH')) return false;
    throw new SysError(errno, 'pidfd_send_signal', `signal ${signal} to pid ${ref.pid}`);
  } finally {
    closeFd(pidfd);
  }
}

/**
 * A descriptor that stands for that very process, close-on-exec; `undefined`
 * when it is gone. Opened first and checked after: the descriptor pins what
 * the number meant at that moment. The caller closes it.
 */
export function openPidfd(ref: ProcessRef): number | undefined {
  const pidfd = pidfdOpenCall(SYS_PIDFD_OPEN, ref.pid, 0);
  if (pidfd < 0) {
    const errno = lastErrno();
    if (errno === errnoNumber('ESRCH')) return undefined;
    throw new SysError(errno, 'pidfd_open', `pid ${ref.pid}`);
  }
  try {
    if (isAlive(ref)) return pidfd;
  } catch (error) {
    closeFd(pidfd);
    throw error;
  }
  closeFd(pidfd);
  return undefined;
}

/** Makes this process the parent of orphaned descendants, and reaps them. Idempotent. */
export function becomeSubreaper(): void {
  check(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 'prctl', 'PR_SET_CHILD_SUBREAPER');
  reapAdopted();
}
