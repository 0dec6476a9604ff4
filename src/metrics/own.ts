/** /metrics: the daemon's own figures, counted through observers as things happen or asked for at scrape time. */
import { readdirSync, readFileSync } from 'node:fs';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type ContainerService, type ContainerState, containerState } from '../container/index.ts';
import type { ImageService, PullObserver, PullProgress, TransferEvent } from '../image/index.ts';
import { type SandboxService, type SandboxState, sandboxState } from '../sandbox/index.ts';
import { EventLoopLag } from './event-loop.ts';
import { type Put, registerFilled, render } from './exposition.ts';
import type { CountedFamily } from './family.ts';
import { OWN_FAMILIES } from './own-families.ts';

/** Registry hosts and phases told apart; further ones are counted as "other", so that a user cannot fill the memory. */
const LABEL_VALUES_LIMIT = 64;
const OTHER = 'other';

/** What gauges of the daemon's objects are read from. */
export interface OwnSources {
  sandboxes: Pick<SandboxService, 'list'>;
  containers: Pick<ContainerService, 'list'>;
  images: Pick<ImageService, 'list' | 'fsUsage' | 'pulls'>;
  /** The event bus; `dropped` counts subscriptions closed because their reader was too slow. */
  events: { readonly subscribers: number; readonly dropped?: number };
}

/** Counts CRI calls: in flight is what was started less what has ended. */
export interface RpcObserver {
  started(event: { method: string }): void;
  /** `code` is a gRPC code's name. */
  ended(event: { method: string; code: string; seconds: number }): void;
}

const SANDBOX_STATES: readonly SandboxState[] = ['ready', 'notready'];
const PULL_STATES = ['resolving', 'pulling'] as const satisfies readonly PullProgress['state'][];
const CONTAINER_STATES: readonly ContainerState[] = ['created', 'running', 'exited', 'unknown'];

const inFlight = (images: Pick<ImageService, 'pulls'>): PullProgress[] =>
  images.pulls().filter(({ state }) => PULL_STATES.some((each) => each === state));
const sum = (figures: readonly number[]): number => figures.reduce((total, figure) => total + figure, 0);

/** Lets the first distinct values through and folds the rest. */
class Bounded {
  readonly #seen = new Set<string>();

  of(value: string): string {
    if (this.#seen.has(value)) return value;
    if (this.#seen.size >= LABEL_VALUES_LIMIT) return OTHER;
    this.#seen.add(value);
    return value;
  }
}

/** Share of a count per state, with a 0 for states nobody is in. */
function putStates<S extends string>(put: Put, states: readonly S[], of: Iterable<S>): void {
  const counts = new Map<string, number>(states.map((state) => [state, 0]));
  for (const state of of) counts.set(state, (counts.get(state) ?? 0) + 1);
  for (const [state, count] of counts) put({ state }, count);
}

/** Soft limit of open files from /proc/self/limits (proc_pid_limits(5)). */
function maxFds(): number {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

export class OwnEndpoint implements Disposable {
  readonly rpcObserver: RpcObserver;
  readonly pullObserver: PullObserver;
  readonly #registry = new Registry();
  #sources: OwnSources | undefined;
  readonly #lag = new EventLoopLag();
  readonly #phases = new Bounded();
  readonly #podStart: Histogram;

  /** @param version Version of berth. */
  constructor(version: string) {
    this.rpcObserver = this.#countRpcs();
    this.pullObserver = this.#countPulls();
    this.#podStart = this.#histogram(OWN_FAMILIES.podStart);
    this.#askObjects();
    this.#askProcess(version);
  }

  /** Seconds a phase of a pod's or container's start took. */
  readonly phaseObserver = (phase: string, seconds: number): void => {
    this.#podStart.observe({ phase: this.#phases.of(phase) }, seconds);
  };

  /** Reads the daemon's objects from now on. */
  observe(sources: OwnSources): void {
    this.#sources = sources;
  }

  /** The text. */
  async text(): Promise<string> {
    return render(this.#registry);
  }

  [Symbol.dispose](): void {
    this.#lag[Symbol.dispose]();
  }

  #countRpcs(): RpcObserver {
    const total = this.#counter(OWN_FAMILIES.rpcs);
    const inFlight = new Gauge(this.#config(OWN_FAMILIES.rpcsInFlight));
    const duration = this.#histogram(OWN_FAMILIES.rpcSeconds);
    return {
      started: ({ method }) => inFlight.inc({ method }),
      ended: ({ method, code, seconds }) => {
        inFlight.dec({ method });
        total.inc({ method, code });
        duration.observe({ method }, seconds);
      },
    };
  }

  #countPulls(): PullObserver {
    const registries = new Bounded();
    const transfer = this.#countTransfers(registries);
    const bytes = this.#counter(OWN_FAMILIES.pullBytes);
    const layers = this.#counter(OWN_FAMILIES.pullLayers);
    const failures = this.#counter(OWN_FAMILIES.pullFailures);
    const duration = this.#histogram(OWN_FAMILIES.pullSeconds);
    return {
      pulled: (event) => {
        const registry = registries.of(event.registry);
        bytes.inc({ registry }, event.bytes);
        duration.observe({ registry }, event.seconds);
        layers.inc({ source: 'pulled' }, event.layersPulled);
        layers.inc({ source: 'shared' }, event.layersShared);
      },
      failed: (event) => failures.inc({ registry: registries.of(event.registry), reason: event.reason }),
      transfer,
    };
  }

  #countTransfers(registries: Bounded): (event: TransferEvent) => void {
    const received = this.#counter(OWN_FAMILIES.receivedBytes);
    const downloaded = this.#histogram(OWN_FAMILIES.layerDownloadSeconds);
    const unpacked = this.#histogram(OWN_FAMILIES.layerUnpackSeconds);
    const joins = this.#counter(OWN_FAMILIES.pullJoins);
    const counters = {
      resumed: this.#counter(OWN_FAMILIES.downloadsResumed),
      retried: this.#counter(OWN_FAMILIES.downloadRetries),
      stalled: this.#counter(OWN_FAMILIES.downloadStalls),
    };
    return (event) => {
      if (event.kind === 'unpacked') return unpacked.observe(event.seconds);
      if (event.kind === 'joined') return joins.inc({ what: event.what });
      const registry = registries.of(event.registry);
      if (event.kind === 'received') received.inc({ registry, source: event.mirror ? 'mirror' : 'registry' }, event.bytes);
      else if (event.kind === 'downloaded') downloaded.observe({ registry }, event.seconds);
      else counters[event.kind].inc({ registry });
    };
  }

  #askObjects(): void {
    this.#askSources(OWN_FAMILIES.sandboxes, ({ sandboxes }, put) => putStates(put, SANDBOX_STATES, sandboxes.list({}).map(sandboxState)));
    this.#askSources(OWN_FAMILIES.containers, ({ containers }, put) =>
      putStates(put, CONTAINER_STATES, containers.list({}).map(containerState)),
    );
    this.#askSources(OWN_FAMILIES.images, ({ images }, put) => put({}, images.list().length));
    this.#askSources(OWN_FAMILIES.imageBytes, ({ images }, put) => put({}, Number(images.fsUsage().usedBytes)));
    this.#askSources(OWN_FAMILIES.imageInodes, ({ images }, put) => put({}, Number(images.fsUsage().inodesUsed)));
    this.#askSources(OWN_FAMILIES.pullsInFlight, ({ images }, put) =>
      putStates(
        put,
        PULL_STATES,
        inFlight(images).map(({ state }) => state),
      ),
    );
    this.#askSources(OWN_FAMILIES.pullsInFlightBytes, ({ images }, put) => {
      const layers = inFlight(images)
        .flatMap((pull) => pull.layers)
        .filter((layer) => layer.state !== 'shared');
      put({ part: 'downloaded' }, sum(layers.map((layer) => layer.downloadedBytes)));
      put({ part: 'total' }, sum(layers.map((layer) => layer.totalBytes)));
    });
    this.#askSources(OWN_FAMILIES.subscribers, ({ events }, put) => put({}, events.subscribers));
    this.#askSources(OWN_FAMILIES.eventsDropped, ({ events }, put) => {
      if (events.dropped !== undefined) put({}, events.dropped);
    });
  }

  #askProcess(version: string): void {
    const startedAt = Date.now() / 1000 - process.uptime();
    const limit = maxFds();
    this.#ask(OWN_FAMILIES.eventLoopLag, (put) => {
      for (const [stat, value] of Object.entries(this.#lag.read())) put({ stat }, value);
    });
    this.#ask(OWN_FAMILIES.cpuSeconds, (put) => {
      const { user, system } = process.cpuUsage();
      put({}, (user + system) / 1e6);
    });
    this.#ask(OWN_FAMILIES.residentBytes, (put) => put({}, process.memoryUsage.rss()));
    this.#ask(OWN_FAMILIES.heapBytes, (put) => put({}, process.memoryUsage().heapUsed));
    this.#ask(OWN_FAMILIES.openFds, (put) => put({}, readdirSync('/proc/self/fd').length));
    this.#ask(OWN_FAMILIES.maxFds, (put) => put({}, limit));
    this.#ask(OWN_FAMILIES.startTime, (put) => put({}, startedAt));
    this.#ask(OWN_FAMILIES.build, (put) => put({ version, node: process.version }, 1));
  }

  #ask(family: CountedFamily & { type: 'counter' | 'gauge' }, fill: (put: Put) => void): void {
    registerFilled(this.#registry, family, fill);
  }

  /** Registers figures of the daemon's objects; none until observe(). */
  #askSources(family: CountedFamily & { type: 'counter' | 'gauge' }, fill: (sources: OwnSources, put: Put) => void): void {
    this.#ask(family, (put) => {
      if (this.#sources !== undefined) fill(this.#sources, put);
    });
  }

  #config(family: CountedFamily): { name: string; help: string; labelNames: string[]; registers: Registry[] } {
    return { name: family.name, help: family.help, labelNames: [...family.labels], registers: [this.#registry] };
  }

  #counter(family: CountedFamily): Counter {
    return new Counter(this.#config(family));
  }

  #histogram(family: CountedFamily): Histogram {
    return new Histogram({ ...this.#config(family), buckets: [...(family.buckets ?? [])] });
  }
}
