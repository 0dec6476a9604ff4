/**
 * The one sampler of the node: CRI stats and Prometheus share its readings,
 * so that a figure is the same wherever it is seen and costs one read.
 * Callers at the same time share one run; a run yields to the event loop
 * between containers, so nothing waits on it for more than a few ms. One pod
 * that cannot be read never fails the others. A sample is shared only while
 * the same pods and containers run as when it began: who has just started a
 * container finds it in the next list.
 */
import { dirname } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { sleep } from '../async/index.ts';
import type { CgroupStats, Cgroups } from '../cgroup/index.ts';
import type { ContainerRecord, ContainerService } from '../container/index.ts';
import { messageOf } from '../errors/index.ts';
import type { Logger } from '../log/index.ts';
import type { InterfaceStats, PodNetwork } from '../network/index.ts';
import type { SandboxRecord, SandboxService } from '../sandbox/index.ts';
import { LayerCache, type MeasureLayer } from './layers.ts';
import { CpuRates } from './rate.ts';
import { sumStats } from './sum.ts';
import type { ContainerSample, Sampler, SandboxSample } from './types.ts';

const DEFAULT_MAX_AGE_MS = 1000;
/** Synchronous work between two turns of the event loop; one more container takes at most 1 ms. */
const SLICE_MS = 3;
/** How long a sample waits for the first size of a new writable layer; later ones never wait. */
const FIRST_LAYER_MS = 200;

/** What the sampler reads from. */
export interface SamplerDeps {
  sandboxes: Pick<SandboxService, 'list'>;
  containers: Pick<ContainerService, 'list'>;
  cgroups: Pick<Cgroups, 'read' | 'forget' | 'leafPath'>;
  network: Pick<PodNetwork, 'stats'>;
  writableLayer: MeasureLayer;
  /** Configured parent of pods that come without one; pods under it share it. */
  defaultCgroupParent: string;
  log: Logger;
}

class HostSampler implements Sampler {
  readonly #deps: SamplerDeps;
  readonly #rates = new CpuRates();
  readonly #layers: LayerCache;
  #known = new Set<string>();
  #last: { ids: Ids; atMs: number; pods: readonly SandboxSample[] } | undefined;
  #running: { ids: Ids; pods: Promise<readonly SandboxSample[]> } | undefined;
  #closed = false;

  constructor(deps: SamplerDeps) {
    this.#deps = deps;
    this.#layers = new LayerCache(deps.writableLayer, (containerId, error) =>
      deps.log.debug({ containerId, err: messageOf(error) }, 'writable layer not measured'),
    );
  }

  async sample(maxAgeMs = DEFAULT_MAX_AGE_MS): Promise<readonly SandboxSample[]> {
    const [last, running, { ids }] = [this.#last, this.#running, this.#live()];
    if (last !== undefined && performance.now() - last.atMs <= maxAgeMs && sameIds(last.ids, ids)) return last.pods;
    if (running !== undefined && !sameIds(running.ids, ids)) await running.pods.catch(() => undefined); // its own callers are told
    this.#running ??= this.#begin(); // one that another caller began meanwhile is younger than this call
    return this.#running.pods;
  }

  async sandbox(id: string): Promise<SandboxSample | undefined> {
    return (await this.sample()).find((pod) => pod.record.id === id);
  }

  async container(id: string): Promise<ContainerSample | undefined> {
    for (const pod of await this.sample()) {
      const found = pod.containers.find((container) => container.record.id === id);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  close(): void {
    this.#closed = true;
    this.#layers.close();
    for (const path of this.#known) this.#deps.cgroups.forget(path);
    this.#known.clear();
    this.#last = undefined;
  }

  #live(): Live {
    const ready = this.#deps.sandboxes.list({ state: 'ready' });
    const running = this.#deps.containers.list({ state: 'running' });
    return { ready, running, ids: new Set([...ready, ...running].map(({ id }) => id)) };
  }

  #begin(): { ids: Ids; pods: Promise<readonly SandboxSample[]> } {
    const live = this.#live();
    const pods = this.#run(live).finally(() => {
      this.#running = undefined;
    });
    return { ids: live.ids, pods };
  }

  async #run({ ids, ready, running: containers }: Live): Promise<readonly SandboxSample[]> {
    if (this.#closed) return [];
    const running = Map.groupBy(containers, (record) => record.sandboxId);
    const shared = sharedParents(ready, dirname(this.#deps.cgroups.leafPath(this.#deps.defaultCgroupParent, '')));
    const slice = new Slice();
    const read = new Set<string>();
    const pods: SandboxSample[] = [];
    for (const record of ready) pods.push(await this.#pod(record, running.get(record.id) ?? [], { shared, slice, read }));
    await this.#addLayers(pods);
    this.#prune(pods, read);
    this.#last = { ids, atMs: performance.now(), pods };
    return pods;
  }

  async #pod(record: Readonly<SandboxRecord>, running: readonly Readonly<ContainerRecord>[], run: Run): Promise<SandboxSample> {
    const containers: ContainerSample[] = [];
    for (const container of running) {
      await run.slice.yield();
      const cgroup = this.#read(container.cgroupPath, run);
      if (cgroup === undefined) continue; // ended a moment ago
      const usageNanoCores = this.#rates.update(container.id, cgroup);
      containers.push({ record: container, cgroup, ...(usageNanoCores !== undefined && { usageNanoCores }) });
    }
    await run.slice.yield();
    const pause = record.cgroupPath === undefined ? undefined : this.#read(record.cgroupPath, run);
    const leaves = [...(pause === undefined ? [] : [pause]), ...containers.map((container) => container.cgroup)];
    const parent = record.cgroupPath === undefined ? undefined : dirname(record.cgroupPath);
    const cgroupPath = parent === undefined || run.shared.has(parent) ? undefined : parent;
    const cgroup = (cgroupPath === undefined ? undefined : this.#read(cgroupPath, run)) ?? sumStats(leaves);
    const usageNanoCores = cgroup === undefined ? undefined : this.#rates.update(record.id, cgroup);
    return {
      record,
      cgroup,
      ...(cgroupPath !== undefined && { cgroupPath }),
      ...(pause !== undefined && { pause }),
      ...(usageNanoCores !== undefined && { usageNanoCores }),
      interfaces: this.#interfaces(record),
      processCount: leaves.reduce((sum, leaf) => sum + Number(leaf.pids.processes ?? leaf.pids.current), 0),
      containers,
    };
  }

  #read(path: string, run: Run): CgroupStats | undefined {
    run.read.add(path);
    try {
      return this.#deps.cgroups.read(path);
    } catch (error) {
      this.#deps.log.warn({ path, err: messageOf(error) }, 'cgroup not read');
      return undefined;
    }
  }

  #interfaces(record: Readonly<SandboxRecord>): InterfaceStats[] {
    if (record.network === undefined || record.pins.net === undefined) return []; // host network: not the pod's figures
    try {
      return this.#deps.network.stats(record.pins.net);
    } catch (error) {
      this.#deps.log.debug({ sandboxId: record.id, err: messageOf(error) }, 'pod network not read'); // being taken down
      return [];
    }
  }

  async #addLayers(pods: readonly SandboxSample[]): Promise<void> {
    const containers = pods.flatMap((pod) => pod.containers);
    const unknown = containers.filter(({ record }) => this.#layers.get(record.id) === undefined).map(({ record }) => record.id);
    if (unknown.length > 0) {
      const patience = new AbortController();
      const tired = sleep(FIRST_LAYER_MS, patience.signal).catch(() => undefined); // aborted: everything was measured in time
      await Promise.race([this.#layers.settled(unknown), tired]);
      patience.abort();
    }
    for (const container of containers) {
      const stats = this.#layers.get(container.record.id);
      if (stats !== undefined) container.writableLayer = stats;
    }
  }

  #prune(pods: readonly SandboxSample[], read: Set<string>): void {
    const containerIds = new Set<string>(pods.flatMap((pod) => pod.containers.map(({ record }) => record.id)));
    this.#layers.prune(containerIds);
    this.#rates.prune(new Set([...containerIds, ...pods.map((pod) => pod.record.id)]));
    for (const path of this.#known.difference(read)) this.#deps.cgroups.forget(path);
    this.#known = read;
    if (this.#closed) this.close(); // closed while it ran
  }
}

/** What there is to sample at one moment. */
interface Live {
  ready: readonly Readonly<SandboxRecord>[];
  running: readonly Readonly<ContainerRecord>[];
  ids: Ids;
}

/** Of the ready pods and the running containers. */
type Ids = ReadonlySet<string>;

const sameIds = (one: Ids, other: Ids): boolean => one.size === other.size && one.isSubsetOf(other);

/** What one run carries along. */
interface Run {
  shared: ReadonlySet<string>;
  slice: Slice;
  /** Paths read so far. */
  read: Set<string>;
}

/** Gives the event loop a turn when the slice is used up. */
class Slice {
  #startedAtMs = performance.now();

  async yield(): Promise<void> {
    if (performance.now() - this.#startedAtMs < SLICE_MS) return;
    await nextTurn();
    this.#startedAtMs = performance.now();
  }
}

/** Parents that are no pod's own: the default one, and any that two ready pods have in common. */
function sharedParents(ready: readonly Readonly<SandboxRecord>[], defaultParent: string): Set<string> {
  const shared = new Set([defaultParent, '/']);
  const seen = new Set<string>();
  for (const { cgroupPath } of ready) {
    if (cgroupPath === undefined) continue;
    const parent = dirname(cgroupPath);
    if (seen.has(parent)) shared.add(parent);
    seen.add(parent);
  }
  return shared;
}

/** A sampler over the services; it holds nothing but caches. */
export function createSampler(deps: SamplerDeps): Sampler {
  return new HostSampler(deps);
}
