/**
 * Log rotation: kubelet renames the log and asks for a new one. conmon is told
 * through its control fifo and answers nothing, so the proof is taken from the
 * kernel: the monitor holds a descriptor whose path is the log's. A log that was
 * not renamed is held already and left alone, as conmon would replace it.
 */
import { closeSync, constants, openSync, readdirSync, readlinkSync, realpathSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { sleep } from '../async/index.ts';
import { messageOf, RuntimeError } from '../errors/index.ts';

/** conmon acts within a millisecond; a disk that takes longer than this to create a file is broken. */
const REOPEN_TIMEOUT_MS = 10_000;
/** Pause between two looks. */
const POLL_MS = 2;
/** conmon ctrl.c: "%d %d %d\n", 2 is REOPEN_LOGS_EVENT. */
const REOPEN_COMMAND = '2 0 0\n';

/** Makes the monitor open `logPath` anew; returns when it has. Throws LOG_FAILED. */
export async function reopenLog(monitorPid: number, bundleDir: string, logPath: string): Promise<void> {
  const path = realLog(logPath);
  if (holds(monitorPid, path)) return;
  tell(join(bundleDir, 'ctl'), logPath);
  const giveUpAt = performance.now() + REOPEN_TIMEOUT_MS;
  while (!holds(monitorPid, path)) {
    if (performance.now() > giveUpAt) {
      throw failed(
        logPath,
        `the monitor did not open it within ${REOPEN_TIMEOUT_MS / 1000} s`,
        'check the space and health of its file system',
      );
    }
    await sleep(POLL_MS);
  }
}

const failed = (logPath: string, what: string, advice: string): RuntimeError =>
  new RuntimeError('internal', 'LOG_FAILED', `reopening the log ${logPath} failed: ${what}; ${advice}`);

/** The log's path as the kernel names it: without symbolic links in its directory. */
function realLog(logPath: string): string {
  try {
    return join(realpathSync(dirname(logPath)), basename(logPath));
  } catch (error) {
    throw failed(logPath, messageOf(error), 'create its directory');
  }
}

function holds(pid: number, path: string): boolean {
  const directory = `/proc/${pid}/fd`;
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return false; // the monitor has ended; the caller's deadline or the fifo says so
  }
  return names.some((name) => linkOf(join(directory, name)) === path);
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // closed in the meantime
  }
}

function tell(fifo: string, logPath: string): void {
  let fd: number;
  try {
    fd = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK); // ENXIO when nobody reads it
  } catch (error) {
    throw failed(logPath, `the monitor does not listen (${messageOf(error)})`, 'restart the container: its monitor is gone');
  }
  try {
    writeSync(fd, REOPEN_COMMAND);
  } finally {
    closeSync(fd);
  }
}
