/**
 * Killing everything that an exec started, also what forked twice, made its
 * own session and now hangs below the container's first process, where it
 * cannot be told from the container's own work by parent, session or cgroup.
 *
 * So each exec is marked: its RLIMIT_LOCKS, which the kernel has not enforced
 * since Linux 2.4.25 (getrlimit(2)), is a number of its own. The limit survives
 * fork, exec and setsid, shows in /proc/PID/limits, is not in the environment
 * that the command prints, costs nothing and works the same on every cgroup
 * layout. A process that sets this limit itself escapes; nothing does.
 */
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { sleep } from '../async/index.ts';
import { isAlive, type ProcessRef, SIGNALS, signalProcess, startTicks } from '../sys/index.ts';

/** Marks are numbers that a JSON reader keeps exact and nobody sets by hand. */
const LEAST_MARK = 2 ** 48;
const MARKS = 2 ** 48 - 1;
/** /proc entries looked at in one turn of the loop: about 1 ms. */
const SLICE = 64;
/** Passes over /proc; each stops what it finds, so more than a few mean a fork bomb that outruns the walk. */
const PASS_LIMIT = 20;
/** How long the killed may take to go; one in D state goes when the kernel lets it. */
const GONE_TIMEOUT_MS = 2_000;
const POLL_MS = 2;

/** A number no other exec has; used as an RLIMIT_LOCKS. */
export const newMark = (): number => LEAST_MARK + randomInt(MARKS);

/** `process` (OCI runtime-spec) with the mark. */
export function withMark(process: Readonly<Record<string, unknown>>, mark: number): Record<string, unknown> {
  const given = Array.isArray(process.rlimits) ? (process.rlimits as { type?: unknown }[]) : [];
  const others = given.filter((limit) => limit.type !== 'RLIMIT_LOCKS');
  return { ...process, rlimits: [...others, { type: 'RLIMIT_LOCKS', soft: mark, hard: mark }] };
}

/** Kills every process with the mark and returns when they are gone. A stopped process cannot fork away from the walk. */
export async function killMarked(mark: number): Promise<void> {
  const found = new Map<number, ProcessRef>();
  for (let pass = 0; pass < PASS_LIMIT; pass += 1) {
    const before = found.size;
    for (const ref of await findMarked(mark)) {
      if (found.has(ref.pid)) continue;
      found.set(ref.pid, ref);
      signalProcess(ref, SIGNALS.SIGSTOP ?? 19);
    }
    if (found.size === before) break;
  }
  for (const ref of found.values()) signalProcess(ref, SIGNALS.SIGKILL ?? 9);
  const giveUpAt = performance.now() + GONE_TIMEOUT_MS;
  while ([...found.values()].some(isAlive) && performance.now() < giveUpAt) await sleep(POLL_MS);
}

async function findMarked(mark: number): Promise<ProcessRef[]> {
  const found: ProcessRef[] = [];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  for (const [index, name] of pids.entries()) {
    if (index % SLICE === SLICE - 1) await nextTurn();
    const pid = Number(name);
    // The start time first: should the number pass on in between, no signal will reach the newcomer.
    const ticks = startTicks(pid);
    if (ticks !== undefined && marksOf(pid) === mark) found.push({ pid, startTicks: ticks });
  }
  return found;
}

function marksOf(pid: number): number | undefined {
  try {
    return parseFileLocks(readFileSync(`/proc/${pid}/limits`, 'utf8'));
  } catch {
    return undefined; // it ended in the meantime
  }
}

/** The soft limit of file locks in /proc/PID/limits; undefined when unlimited. */
export function parseFileLocks(limits: string): number | undefined {
  const digits = /^Max file locks\s+(\d+)/m.exec(limits)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
