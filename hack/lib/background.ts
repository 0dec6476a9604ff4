// Programs that the demo and the benchmark start in the background: each in a session of its own, so that Ctrl-C in
// the terminal does not reach it and its owner ends it in order; known by pid and start time, so that a kept one is
// found again later and no other process is ever killed in its place.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;

/** A process that another run of these scripts can find again. */
export interface ProcessRef {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat (proc(5)). */
  readonly startTicks: string;
}

/** Starts `argv` with its output appended to `logFile`. Throws when the program cannot be run. */
export async function startInBackground(argv: readonly string[], o: { logFile: string; env?: NodeJS.ProcessEnv }): Promise<ProcessRef> {
  const [program = '', ...args] = argv;
  const log = openSync(o.logFile, 'a', 0o600);
  try {
    const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log], env: o.env ?? process.env });
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.unref();
    const pid = child.pid ?? 0;
    return { pid, startTicks: startTicks(pid) ?? '' };
  } finally {
    closeSync(log);
  }
}

/** Is it running? A zombie counts as gone. */
export function isRunning(ref: ProcessRef): boolean {
  return ref.startTicks !== '' && startTicks(ref.pid) === ref.startTicks;
}

/** SIGTERM, and SIGKILL after `graceMs`; idempotent. Answers whether it ended by itself. */
export async function endProcess(ref: ProcessRef, graceMs: number): Promise<boolean> {
  if (!isRunning(ref)) return true;
  process.kill(ref.pid, 'SIGTERM');
  if (await eventually(() => !isRunning(ref), graceMs)) return true;
  if (isRunning(ref)) process.kill(ref.pid, 'SIGKILL');
  await eventually(() => !isRunning(ref), graceMs);
  return false;
}

/** Waits for `test`; false when it did not come true within `timeoutMs`. */
export async function eventually(test: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!(await test())) {
    if (performance.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** A loopback TCP port nobody listens on at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}

function startTicks(pid: number): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined; // gone
  }
}
