/**
 * Stopping: one supervisor per container that owns the escalation from the
 * stop signal to SIGKILL, so that it goes on when its caller gives up. A
 * second stop joins it: the signal is not sent again, the deadline can only
 * move closer.
 */
import { readFileSync } from 'node:fs';
import { sleep } from '../async/index.ts';
import { RuntimeError } from '../errors/index.ts';
import { isAlive, type ProcessRef } from '../sys/index.ts';
import type { ContainerHost } from './host.ts';
import type { ContainerRecord } from './types.ts';

/** What of the lifecycle a stop needs. */
export interface StopPort {
  host: ContainerHost;
  /** Resolves when the container's exit is recorded. */
  exited(id: string): Promise<void>;
  /** Records the first stop signal. */
  signaled(id: string): void;
}

interface Escalation {
  deadlineMs: number;
  /** Wakes the supervisor when the deadline moved. */
  nudge(): void;
  promise: Promise<void>;
}

/** After SIGKILL, how long a process may take to die before the stop fails with its name. */
const KILL_WAIT_MS = 15_000;
/** SIGKILL is repeated at this pace: a process forked meanwhile is caught too. */
const KILL_REPEAT_MS = 500;
const SIGKILL = 9;

export class Stops {
  readonly #port: StopPort;
  readonly #running = new Map<string, Escalation>();

  constructor(port: StopPort) {
    this.#port = port;
  }

  /** Stops a created or running container; resolves when its exit is recorded. */
  stop(record: Readonly<ContainerRecord>, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    const joined = this.#running.get(record.id);
    if (joined !== undefined) {
      joined.deadlineMs = Math.min(joined.deadlineMs, deadlineMs);
      joined.nudge();
      return joined.promise;
    }
    const escalation: Escalation = { deadlineMs, nudge: () => undefined, promise: Promise.resolve() };
    this.#running.set(record.id, escalation);
    escalation.promise = this.#escalate(record, escalation).finally(() => this.#running.delete(record.id));
    return escalation.promise;
  }

  async #escalate(record: Readonly<ContainerRecord>, escalation: Escalation): Promise<void> {
    const exited = this.#port.exited(record.id);
    if (record.startedAtNs !== undefined && escalation.deadlineMs > performance.now()) {
      await this.#signal(record);
      await this.#waitUntilDeadline(exited, escalation);
    }
    await this.#kill(record, exited);
  }

  async #signal(record: Readonly<ContainerRecord>): Promise<void> {
    if (record.stopSignaledAtNs !== undefined) return;
    this.#port.signaled(record.id);
    await this.#port.host.runtime.kill(record.id, record.handler, record.stopSignal);
  }

  async #waitUntilDeadline(exited: Promise<void>, escalation: Escalation): Promise<void> {
    let done = false;
    const end = exited.then(() => {
      done = true;
    });
    while (!done) {
      const leftMs = escalation.deadlineMs - performance.now();
      if (leftMs <= 0) return;
      const moved = Promise.withResolvers<void>();
      escalation.nudge = moved.resolve;
      const timer = new AbortController();
      await Promise.race([end, moved.promise, sleep(leftMs, timer.signal).catch(() => undefined)]);
      timer.abort();
    }
  }

  async #kill(record: Readonly<ContainerRecord>, exited: Promise<void>): Promise<void> {
    const { host } = this.#port;
    let done = false;
    const end = exited.then(() => {
      done = true;
    });
    const giveUpAt = performance.now() + KILL_WAIT_MS;
    await Promise.race([end, Promise.resolve()]);
    for (let round = 0; !done; round += 1) {
      // one that ends by itself meanwhile takes its cgroup away from under the killer: only its end counts
      const failure: unknown = await kill(host, record, round > 0).catch((error: unknown) => error);
      const timer = new AbortController();
      await Promise.race([end, sleep(KILL_REPEAT_MS, timer.signal).catch(() => undefined)]);
      timer.abort();
      if (!done && performance.now() > giveUpAt) throw failure ?? stuck(record);
    }
  }
}

/** Kills the cgroup, which is quick; what that did not end (a sandboxed runtime's guest, say) the OCI runtime is asked to kill. */
async function kill(host: ContainerHost, record: Readonly<ContainerRecord>, again: boolean): Promise<void> {
  await host.cgroups.kill(record.cgroupPath);
  if (again) await host.runtime.kill(record.id, record.handler, SIGKILL, { all: true });
}

function stuck(record: Readonly<ContainerRecord>): RuntimeError {
  const where = record.init === undefined || !isAlive(record.init) ? 'its end was not reported' : blockedIn(record.init);
  return new RuntimeError(
    'deadline',
    'STOP_STUCK',
    `the container ${record.spec.metadata.name} did not die within ${KILL_WAIT_MS / 1000} s of SIGKILL: ${where}; the stop can be called again`,
  );
}

function blockedIn(ref: ProcessRef): string {
  const read = (file: string): string => {
    try {
      return readFileSync(`/proc/${ref.pid}/${file}`, 'utf8').trim();
    } catch {
      return 'unknown'; // it died this moment
    }
  };
  const state = /^State:\s*(.+)$/m.exec(read('status'))?.[1] ?? 'unknown';
  return `process ${ref.pid} is in state ${state}, waiting in ${read('wchan')}`;
}
