/**
 * The container lifecycle.
 *
 *           create              start                exit
 *  (none) ─────────► making ──► CREATED ──► RUNNING ──────► EXITED ──remove──► (none)
 *                      │ failure   │ start failed (StartError 128) ▲
 *                      └► (none)   └───────────────────────────────┘
 *
 * The state is derived from facts of the record (readyAtNs, startedAtNs,
 * exit). Create, start, settling and remove of one container run one after
 * the other (queue by id); stop has its own supervisor; reading never waits.
 */
import { abortable, KeyedQueue, SingleFlight } from '../async/index.ts';
import { messageOf, RuntimeError } from '../errors/index.ts';
import type { LifecycleEventKind } from '../events/index.ts';
import type { ContainerId } from '../ids/index.ts';
import type { ContainerExited } from '../runtime/index.ts';
import { type PodContainers, sandboxState } from '../sandbox/index.ts';
import { sameDocument } from '../store/index.ts';
import { nowNs } from '../sys/index.ts';
import { type CreateInput, createContainer, notReady, prepareRecord } from './create.ts';
import { execInContainer } from './exec.ts';
import { exitFacts } from './exit.ts';
import type { ContainerHost } from './host.ts';
import { containerPaths } from './paths.ts';
import { recoverContainers } from './recover.ts';
import { discardContainer, settleContainer } from './release.ts';
import { Stops } from './stop.ts';
import {
  type ContainerExit,
  type ContainerFilter,
  type ContainerRecord,
  type ContainerService,
  type ContainerSpec,
  containerState,
  type ExecResult,
} from './types.ts';

/** Exit code of a container whose process could not be started (what both reference runtimes use). */
const START_ERROR_CODE = 128;

const visible = (record: Readonly<ContainerRecord>): boolean => record.readyAtNs !== undefined;

export class Containers implements ContainerService, PodContainers {
  readonly #host: ContainerHost;
  readonly #queue = new KeyedQueue<string>();
  readonly #creates = new SingleFlight<string, ContainerId>();
  readonly #exits = new Map<string, PromiseWithResolvers<void>>();
  readonly #stops: Stops;

  constructor(host: ContainerHost) {
    this.#host = host;
    this.#stops = new Stops({
      host,
      exited: (id) => this.#exited(id),
      signaled: (id) => {
        host.records.observe(id, { stopSignaledAtNs: nowNs() });
      },
    });
    host.runtime.onExit((exited) => this.#onExit(exited));
  }

  /** Matches the store with the machine; after the sandboxes' recovery, before anything else is called. */
  async recover(): Promise<void> {
    const sandboxes = new Set<string>(this.#host.sandboxes.list({}).map(({ id }) => id));
    await recoverContainers(this.#host, (id) => sandboxes.has(id));
  }

  async create(sandboxId: string, spec: ContainerSpec, signal: AbortSignal): Promise<ContainerId> {
    const sandbox = this.#host.sandboxes.get(sandboxId);
    const key = [sandbox.id, spec.metadata.name, spec.metadata.attempt].join('/');
    if (!this.#creates.has(key)) {
      const made = this.#existing(sandbox.id, spec);
      if (made !== undefined) return made;
    }
    return this.#creates.join(key, { signal, detached: true }, () => this.#create({ sandbox, spec }));
  }

  async start(id: string, signal: AbortSignal): Promise<void> {
    const { id: full } = this.get(id);
    await abortable(
      this.#queue.run(full, () => this.#start(full)),
      signal,
    );
  }

  async stop(id: string, timeoutSeconds: number, signal: AbortSignal): Promise<void> {
    const record = this.#host.records.find(id, visible);
    if (record !== undefined) await abortable(this.#stop(record.id, timeoutSeconds * 1000), signal);
  }

  async remove(id: string, signal: AbortSignal): Promise<void> {
    const record = this.#host.records.find(id, visible);
    if (record !== undefined) await abortable(this.#remove(record.id), signal);
  }

  get(id: string): Readonly<ContainerRecord> {
    return this.#host.records.resolve(id, visible);
  }

  list(filter: ContainerFilter): Readonly<ContainerRecord>[] {
    const labels = Object.entries(filter.labels ?? {});
    const found: Readonly<ContainerRecord>[] = [];
    for (const record of this.#host.records.values()) {
      if (!visible(record)) continue;
      if (filter.id !== undefined && !record.id.startsWith(filter.id)) continue;
      if (filter.sandboxId !== undefined && !record.sandboxId.startsWith(filter.sandboxId)) continue;
      if (filter.state !== undefined && containerState(record) !== filter.state) continue;
      if (labels.every(([name, value]) => record.spec.labels[name] === value)) found.push(record);
    }
    return found;
  }

  async reopenLog(id: string): Promise<void> {
    const record = this.#running(id, 'its log can only be reopened while it runs');
    if (record.logPath === '') return;
    await this.#host.runtime.reopenLog(record.id, containerPaths(this.#host, record.id).bundle, record.logPath);
  }

  async execSync(id: string, argv: string[], timeoutSeconds: number, signal: AbortSignal): Promise<ExecResult> {
    const record = this.#running(id, 'a command can only be run in a running container');
    return execInContainer(this.#host, { record, argv, timeoutMs: timeoutSeconds * 1000 }, signal);
  }

  async stopAll(sandboxId: string): Promise<void> {
    await this.#forAll(sandboxId, (id) => this.#stop(id, 0));
  }

  async removeAll(sandboxId: string): Promise<void> {
    await this.#forAll(sandboxId, (id) => this.#remove(id));
  }

  /** Those being made too: the caller sees to it that no more are begun. */
  async #forAll(sandboxId: string, work: (id: string) => Promise<void>): Promise<void> {
    const mine = [...this.#host.records.values()].filter((record) => record.sandboxId === sandboxId);
    const outcomes = await Promise.allSettled(
      mine.map(async (record) => {
        if (!visible(record)) await this.#queue.run(record.id, async () => undefined);
        await work(record.id);
      }),
    );
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  #running(id: string, rule: string): Readonly<ContainerRecord> {
    const record = this.get(id);
    const state = containerState(record);
    if (state === 'running') return record;
    throw new RuntimeError('precondition', 'CONTAINER_NOT_RUNNING', `the container ${record.spec.metadata.name} is ${state}: ${rule}`);
  }

  /**
   * The container of this name and attempt, if it is there, not started and what
   * is asked for: an answer can be lost on its way, so a retry gets the same one
   * again.
   */
  #existing(sandboxId: string, spec: ContainerSpec): ContainerId | undefined {
    const { name, attempt } = spec.metadata;
    for (const record of this.#host.records.values()) {
      if (!visible(record) || record.sandboxId !== sandboxId) continue;
      if (record.spec.metadata.name !== name || record.spec.metadata.attempt !== attempt) continue;
      if (containerState(record) === 'created' && sameDocument(spec, record.spec)) return record.id;
      throw new RuntimeError(
        'already-exists',
        'CONTAINER_EXISTS',
        `the pod has a container ${name} of attempt ${attempt} already (${containerState(record)}); remove it or use the next attempt`,
      );
    }
    return undefined;
  }

  async #create(input: CreateInput): Promise<ContainerId> {
    const record = prepareRecord(this.#host, input);
    return this.#queue.run(record.id, () => this.#make(input, record));
  }

  async #make(input: CreateInput, record: Readonly<ContainerRecord>): Promise<ContainerId> {
    const host = this.#host;
    const begun = performance.now();
    const ended = (): boolean => sandboxState(host.sandboxes.get(record.sandboxId)) !== 'ready';
    try {
      const made = await createContainer(host, input, record);
      if (ended()) throw notReady(input.sandbox, input.spec, 'created');
      const ready = host.records.update(record.id, { ...made, readyAtNs: nowNs() });
      if (ready !== undefined) this.#publish('created', ready);
      const { name } = record.spec.metadata;
      host.log.info(
        {
          container: record.id,
          sandbox: record.sandboxId,
          name,
          image: record.spec.image.userSpecifiedImage,
          ms: Math.round(performance.now() - begun),
        },
        'container created',
      );
      return record.id;
    } catch (error) {
      await this.#undo(record);
      throw ended() ? notReady(input.sandbox, input.spec, 'created') : error; // whatever a step said when the pod went away under it
    }
  }

  async #undo(record: Readonly<ContainerRecord>): Promise<void> {
    try {
      await discardContainer(this.#host, record);
      this.#host.records.delete(record.id);
    } catch (error) {
      // the intent stays in the store, unseen: the removal of its pod and the next start of berth try again
      this.#host.log.error(
        { container: record.id, err: error },
        'a failed container could not be undone; the removal of its pod tries again',
      );
    }
  }

  async #start(id: string): Promise<void> {
    const host = this.#host;
    const record = this.get(id);
    const state = containerState(record);
    if (state !== 'created') {
      throw new RuntimeError(
        'precondition',
        'CONTAINER_STATE',
        `the container ${record.spec.metadata.name} is ${state}; only a created one can be started, once`,
      );
    }
    const sandbox = host.sandboxes.get(record.sandboxId);
    if (sandboxState(sandbox) !== 'ready') throw notReady(sandbox, record.spec, 'started');
    const begun = performance.now();
    // taken before the process can exist: a container that ends at once must not finish before it started
    const startedAtNs = nowNs();
    host.records.update(id, { startRequestedAtNs: startedAtNs });
    try {
      if (record.startProblem !== undefined) throw new RuntimeError('invalid', 'START_FAILED', record.startProblem);
      await host.runtime.start(id, record.handler, AbortSignal.timeout(START_DEADLINE_MS));
    } catch (error) {
      this.#recordExit(id, { exit: startError(messageOf(error)) });
      await settleContainer(host, record);
      throw error;
    }
    const started = host.records.observe(id, { startedAtNs });
    host.phase('start', (performance.now() - begun) / 1000);
    host.log.info(
      {
        container: id,
        sandbox: record.sandboxId,
        name: record.spec.metadata.name,
        pid: record.init?.pid,
        ms: Math.round(performance.now() - begun),
      },
      'container started',
    );
    if (started !== undefined) this.#publish('started', started);
  }

  async #stop(id: string, timeoutMs: number): Promise<void> {
    const record = this.#host.records.get(id);
    if (record === undefined || record.exit !== undefined || !visible(record)) return;
    if (record.startProblem !== undefined) {
      this.#recordExit(id, { exit: startError(record.startProblem) }); // there is no process to stop
      await this.#queue.run(id, () => settleContainer(this.#host, record));
      return;
    }
    await this.#stops.stop(record, timeoutMs);
    await this.#queue.run(id, async () => undefined); // the settling that the exit queued
  }

  async #remove(id: string): Promise<void> {
    await this.#stop(id, 0);
    await this.#queue.run(id, async () => {
      const record = this.#host.records.get(id);
      if (record === undefined) return; // a concurrent removal was first
      await discardContainer(this.#host, record);
      this.#host.records.delete(id);
      this.#exits.delete(id);
      if (visible(record)) this.#publish('deleted', record);
      this.#host.log.info({ container: id, sandbox: record.sandboxId, name: record.spec.metadata.name }, 'container removed');
    });
  }

  /** Runs behind a start in flight, so that STARTED is told before STOPPED. */
  #onExit(exited: ContainerExited): void {
    this.#queue
      .run(exited.id, async () => {
        const record = this.#host.records.get(exited.id);
        if (record === undefined || record.exit !== undefined) return;
        const seen = Number(this.#host.cgroups.read(record.cgroupPath)?.memory.oomKills ?? 0n);
        this.#recordExit(exited.id, { exit: exitFacts(record, exited), oomKills: Math.max(seen, exited.oom ? 1 : 0) });
        await settleContainer(this.#host, record);
      })
      .catch((error: unknown) => {
        this.#host.log.error({ container: exited.id, err: error }, 'an ended container could not be cleaned up; its removal tries again');
      });
  }

  #recordExit(id: string, facts: { exit: ContainerExit; oomKills?: number }): void {
    const record = this.#host.records.observe(id, facts);
    const { exit } = facts;
    this.#exits.get(id)?.resolve();
    this.#exits.delete(id);
    if (record === undefined || record.readyAtNs === undefined) return;
    this.#host.log.info(
      {
        container: id,
        sandbox: record.sandboxId,
        name: record.spec.metadata.name,
        exitCode: exit.exitCode,
        reason: exit.reason,
        message: exit.message || undefined,
      },
      'container exited',
    );
    this.#publish('stopped', record);
  }

  #exited(id: string): Promise<void> {
    const record = this.#host.records.get(id);
    if (record === undefined || record.exit !== undefined) return Promise.resolve();
    const waiting = this.#exits.get(id) ?? Promise.withResolvers<void>();
    this.#exits.set(id, waiting);
    return waiting.promise;
  }

  #publish(kind: LifecycleEventKind, record: Readonly<ContainerRecord>): void {
    const sandbox = this.#host.sandboxes.get(record.sandboxId);
    this.#host.events.publish({ kind, sandboxId: record.sandboxId, containerId: record.id, atNs: nowNs(), sandbox });
  }
}

const startError = (message: string): ContainerExit => ({
  exitCode: START_ERROR_CODE,
  finishedAtNs: nowNs(),
  reason: 'StartError',
  message,
});

/** Bound on one OCI start; it takes milliseconds unless the node is in trouble. */
const START_DEADLINE_MS = 100_000;
