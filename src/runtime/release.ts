/**
 * Taking a container off the host: its processes, the runtime's state and
 * cgroup, the monitor. Every step asks what is there first, so that it can be
 * repeated after a crash in the middle.
 */
import { existsSync } from 'node:fs';
import { sleep } from '../async/index.ts';
import { RuntimeError } from '../errors/index.ts';
import { isAlive, type ProcessRef, SIGNALS, signalProcess } from '../sys/index.ts';
import { call, type Handler, saidBy, stateDirectory, succeeded } from './handler.ts';
import { explain } from './words.ts';

/** How long a killed process may take to go before the runtime is asked to force it. */
const KILLED_TIMEOUT_MS = 2_000;
/** How long the monitor may take after its container's end: it drains the output and writes the exit file. */
const MONITOR_TIMEOUT_MS = 3_000;
/** One `delete`: runc retries a busy cgroup for some seconds by itself. */
const DELETE_TIMEOUT_MS = 30_000;
const POLL_MS = 2;

/** What is to go. */
export interface Remains {
  handler: Handler;
  id: string;
  init?: ProcessRef;
  monitor?: ProcessRef;
}

/** Kills and removes; idempotent. Throws PROGRAM_FAILED when the runtime cannot delete its container. */
export async function release({ handler, id, init, monitor }: Remains): Promise<void> {
  if (init !== undefined && isAlive(init)) {
    signalProcess(init, SIGNALS.SIGKILL ?? 9);
    await gone(init, KILLED_TIMEOUT_MS);
  }
  await deleteState(handler, id, init !== undefined && !isAlive(init));
  if (monitor === undefined) return;
  await gone(monitor, MONITOR_TIMEOUT_MS);
  if (signalProcess(monitor, SIGNALS.SIGKILL ?? 9)) await gone(monitor, KILLED_TIMEOUT_MS);
}

/** A forced delete of runc polls in steps of 100 ms; the plain one does for a container that has stopped. */
async function deleteState(handler: Handler, id: string, stopped: boolean): Promise<void> {
  const attempts = [...(stopped ? [[]] : []), ['--force'], ['--force']];
  let said = '';
  for (const options of attempts) {
    if (!existsSync(stateDirectory(handler, id))) return;
    const result = await call(handler, { args: ['delete', ...options, id], timeoutMs: DELETE_TIMEOUT_MS });
    if (succeeded(result)) return;
    said = saidBy(result);
  }
  if (!existsSync(stateDirectory(handler, id))) return;
  const { words, advice } = explain(said, '');
  throw new RuntimeError('internal', 'PROGRAM_FAILED', `${handler.name} could not delete the container: ${words}; ${advice}`);
}

/** Waits until the process has ended, at most `timeoutMs`. */
async function gone(ref: ProcessRef, timeoutMs: number): Promise<void> {
  const giveUpAt = performance.now() + timeoutMs;
  while (isAlive(ref) && performance.now() < giveUpAt) await sleep(POLL_MS);
}
