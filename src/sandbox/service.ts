/**
 * The sandbox lifecycle.
 *
 *            run                    stop | pause died | reboot
 *   (none) ───────► making ───────► READY ───────────────────► NOTREADY ──remove──► (none)
 *                     │ failure                                   ▲
 *                     └── undone: (none); undoing failed ─────────┘
 *
 * The state is derived from facts of the record (readyAtNs, stoppedAtNs). A
 * sandbox is changed by one task at a time (queue by id); reading never waits.
 */
import { join } from 'node:path';
import { abortable, KeyedQueue, SingleFlight } from '../async/index.ts';
import { messageOf, RuntimeError } from '../errors/index.ts';
import type { LifecycleEventKind } from '../events/index.ts';
import { newSandboxId, type SandboxId } from '../ids/index.ts';
import { sameDocument } from '../store/index.ts';
import { bootId, nowNs } from '../sys/index.ts';
import { sandboxPaths } from './files.ts';
import type { PodContainers, SandboxHost } from './host.ts';
import { makeSandbox, plannedPins } from './make.ts';
import { recoverSandboxes } from './recover.ts';
import { discardSandbox, haltSandbox } from './release.ts';
import {
  type LinuxResources,
  type SandboxFilter,
  type SandboxRecord,
  type SandboxService,
  type SandboxSpec,
  sandboxState,
} from './types.ts';
import { validateSandbox } from './validate.ts';

const keyOf = (spec: SandboxSpec): string =>
  [spec.metadata.uid, spec.metadata.namespace, spec.metadata.name, spec.metadata.attempt].join('/');

/** A record that the outside may see: made ready once, or stuck on its way out. */
const visible = (record: Readonly<SandboxRecord>): boolean => record.readyAtNs !== undefined;

export class Sandboxes implements SandboxService {
  readonly #host: SandboxHost;
  readonly #queue = new KeyedQueue<string>();
  readonly #runs = new SingleFlight<string, SandboxId>();
  readonly #unwatch = new Map<string, () => void>();
  #containers: PodContainers | undefined;

  constructor(host: SandboxHost) {
    this.#host = host;
  }

  /** Set once by main.ts: containers know sandboxes, not the other way round. */
  useContainers(containers: PodContainers): void {
    this.#containers = containers;
  }

  /** Matches the store with the machine; before anything else is called. */
  async recover(): Promise<void> {
    await recoverSandboxes(this.#host, (record) => this.#watch(record));
  }

  async run(spec: SandboxSpec, signal: AbortSignal): Promise<SandboxId> {
    validateSandbox(spec);
    const key = keyOf(spec);
    if (!this.#runs.has(key)) {
      const made = this.#existing(spec, key);
      if (made !== undefined) return made;
    }
    return this.#runs.join(key, { signal, detached: true }, () => this.#make(spec));
  }

  async stop(id: string, signal: AbortSignal): Promise<void> {
    const record = this.#host.records.find(id, visible);
    if (record === undefined) return;
    await abortable(
      this.#queue.run(record.id, () => this.#stop(record.id)),
      signal,
    );
  }

  async remove(id: string, signal: AbortSignal): Promise<void> {
    const record = this.#host.records.find(id, visible);
    if (record === undefined) return;
    await abortable(
      this.#queue.run(record.id, () => this.#remove(record.id)),
      signal,
    );
  }

  get(id: string): Readonly<SandboxRecord> {
    return this.#host.records.resolve(id, visible);
  }

  list(filter: SandboxFilter): Readonly<SandboxRecord>[] {
    const labels = Object.entries(filter.labels ?? {});
    const found: Readonly<SandboxRecord>[] = [];
    for (const record of this.#host.records.values()) {
      if (!visible(record)) continue;
      if (filter.id !== undefined && !record.id.startsWith(filter.id)) continue;
      if (filter.state !== undefined && sandboxState(record) !== filter.state) continue;
      if (labels.every(([name, value]) => record.spec.labels[name] === value)) found.push(record);
    }
    return found;
  }

  updateResources(id: string, resources: LinuxResources | undefined, overhead: LinuxResources | undefined): void {
    const record = this.get(id);
    this.#host.records.update(record.id, {
      updatedResources: { ...(resources === undefined ? {} : { resources }), ...(overhead === undefined ? {} : { overhead }) },
    });
  }

  /**
   * The sandbox of this pod and attempt, if it is there and what is asked for:
   * an answer can be lost on its way, so a retry gets the same one again.
   */
  #existing(spec: SandboxSpec, key: string): SandboxId | undefined {
    for (const record of this.#host.records.values()) {
      if (!visible(record) || keyOf(record.spec) !== key) continue;
      if (sandboxState(record) === 'ready' && sameDocument(this.#settled(spec), record.spec)) return record.id;
      const { namespace, name, attempt } = spec.metadata;
      throw new RuntimeError(
        'already-exists',
        'SANDBOX_EXISTS',
        `the pod ${namespace}/${name} has a sandbox of attempt ${attempt} already (${sandboxState(record)}); remove it or use the next attempt`,
      );
    }
    return undefined;
  }

  /** With what the configuration fills in. */
  #settled(spec: SandboxSpec): SandboxSpec {
    return spec.cgroupParent === '' ? { ...spec, cgroupParent: this.#host.defaultCgroupParent } : spec;
  }

  async #make(spec: SandboxSpec): Promise<SandboxId> {
    const host = this.#host;
    const begun = performance.now();
    const handler = host.runtime.resolve(spec.runtimeHandler);
    const settled = this.#settled(spec);
    host.cgroups.checkParent(settled.cgroupParent);
    const id = newSandboxId();
    const record = host.records.put({
      id,
      spec: settled,
      handler: handler.name,
      createdAtNs: nowNs(),
      pins: plannedPins(spec, join(sandboxPaths(host.state, id).pins)),
      cgroupPath: host.cgroups.leafPath(settled.cgroupParent, id),
      bootId: bootId(),
    });
    try {
      const made = await makeSandbox(host, record);
      const ready = host.records.put({ ...record, ...made, readyAtNs: nowNs() });
      this.#watch(ready);
      this.#publish('created', ready);
      this.#publish('started', ready);
      const ms = Math.round(performance.now() - begun);
      const { name, namespace, uid } = spec.metadata;
      host.log.info({ sandbox: id, pod: name, namespace, uid, ips: ready.network?.ips ?? [], ms }, 'sandbox is ready');
      return id;
    } catch (error) {
      await this.#undo(record, error);
      throw error;
    }
  }

  async #undo(record: Readonly<SandboxRecord>, why: unknown): Promise<void> {
    const host = this.#host;
    try {
      await haltSandbox(host, record, AbortSignal.timeout(UNDO_DEADLINE_MS));
      await discardSandbox(host, record);
      host.records.delete(record.id);
    } catch (error) {
      // what is left stays visible as a NOTREADY sandbox, whose removal tries again
      const now = nowNs();
      host.records.observe(record.id, {
        readyAtNs: now,
        stoppedAtNs: now,
        stopReason: `${messageOf(why)}; undoing it failed: ${messageOf(error)}`,
      });
      host.log.error({ sandbox: record.id, err: error }, 'a failed sandbox could not be undone; its removal will try again');
    }
  }

  async #stop(id: string): Promise<void> {
    const host = this.#host;
    const record = host.records.get(id);
    if (record === undefined) return;
    const begun = performance.now();
    this.#unwatch.get(id)?.();
    this.#unwatch.delete(id);
    const wasReady = sandboxState(record) === 'ready';
    if (wasReady) host.records.observe(id, { stoppedAtNs: nowNs() }); // from now on nothing is created or started in it
    try {
      await this.#containers?.stopAll(id);
      await haltSandbox(host, record, AbortSignal.timeout(UNDO_DEADLINE_MS));
    } finally {
      if (wasReady) this.#publish('stopped', host.records.get(id) ?? record);
    }
    if (wasReady)
      host.log.info({ sandbox: id, pod: record.spec.metadata.name, ms: Math.round(performance.now() - begun) }, 'sandbox stopped');
  }

  async #remove(id: string): Promise<void> {
    const host = this.#host;
    await this.#stop(id);
    await this.#containers?.removeAll(id);
    const record = host.records.get(id);
    if (record === undefined) return;
    await discardSandbox(host, record);
    host.records.delete(id);
    this.#publish('deleted', record);
    host.log.info({ sandbox: id, pod: record.spec.metadata.name }, 'sandbox removed');
  }

  #watch(record: Readonly<SandboxRecord>): void {
    if (record.pause === undefined) return;
    const cancel = this.#host.exits.watch(record.pause, () => this.#pauseDied(record.id));
    this.#unwatch.set(record.id, cancel);
  }

  #pauseDied(id: string): void {
    this.#unwatch.delete(id);
    const record = this.#host.records.get(id);
    if (record === undefined || sandboxState(record) !== 'ready') return;
    const reason = 'its pause process was killed; kubelet will make a new sandbox';
    const stopped = this.#host.records.observe(id, { stoppedAtNs: nowNs(), stopReason: reason }) ?? record;
    this.#host.log.warn({ sandbox: id, pod: record.spec.metadata.name, reason }, 'sandbox is no longer ready');
    this.#publish('stopped', stopped);
  }

  #publish(kind: LifecycleEventKind, sandbox: Readonly<SandboxRecord>): void {
    this.#host.events.publish({ kind, sandboxId: sandbox.id, containerId: sandbox.id, atNs: nowNs(), sandbox });
  }
}

/** Bound on taking one sandbox down; CNI plugins have their own, shorter ones. */
const UNDO_DEADLINE_MS = 110_000;
