/**
 * Gets the layers of an image, each at most once at a time in the whole
 * daemon, and keeps count of what pulls under way need, so that nothing a
 * pull has found or brought is freed before its image is committed.
 *
 * A pull that waits for another's download shares its success, and its
 * failure only where its own try would fail the same way: what one caller's
 * credentials are refused, another's may be given.
 */
import { abortError, SingleFlight } from '../async/index.ts';
import { isRuntimeError, type Reason } from '../errors/index.ts';
import type { DiffId } from '../ids/index.ts';
import { type LayerPullParts, pullLayer } from './layer-pull.ts';
import { LiveLayer } from './progress.ts';
import type { ImageSource, WantedLayer } from './source.ts';

/** The layers of one pull. */
export interface LayerRequest {
  source: ImageSource;
  /** Registry host. */
  host: string;
  /** Repository and credentials: requests of equal origin are answered alike. Secret only as a hash. */
  origin: string;
  layers: readonly WantedLayer[];
  what: string;
  signal: AbortSignal;
  /** Takes the entries to show, one a layer; they may be exchanged later on. */
  show: (progress: readonly LiveLayer[]) => void;
}

/** What had to be fetched. */
export interface LayerOutcome {
  /** Brought by this pull, and those that were there or that another pull brought meanwhile. */
  pulled: number;
  shared: number;
  bytes: number;
}

/** A download under way, whose callers may have left. */
interface Flight {
  progress: LiveLayer;
  host: string;
  origin: string;
  /** Resolves when it has cleaned up. */
  ended: Promise<unknown>;
}

interface Wanted extends WantedLayer {
  key: string;
  at: number;
}

/** Failures of the node or of the layer itself: no other source would do better. */
const OF_NO_SOURCE: ReadonlySet<Reason> = new Set(['DISK_FULL', 'READ_ONLY_FILE_SYSTEM', 'IMAGE_LAYER', 'INTERNAL', 'STORE_FAILED']);
/** Failures of the host, whoever asks it. */
const OF_THE_HOST: ReadonlySet<Reason> = new Set(['REGISTRY_UNAVAILABLE', 'PULL_STALLED']);

export class LayerSet {
  readonly #parts: LayerPullParts;
  readonly #flights = new SingleFlight<string, void>();
  readonly #live = new Map<string, Flight>();
  readonly #pins = new Map<DiffId, number>();
  /** Flights whose callers may have left; close() waits for their cleaning up. */
  readonly #running = new Set<Promise<unknown>>();

  constructor(parts: LayerPullParts) {
    this.#parts = parts;
  }

  /** Keeps layers from being freed until disposed of. */
  pin(diffIds: readonly DiffId[]): Disposable {
    for (const diffId of diffIds) this.#pins.set(diffId, (this.#pins.get(diffId) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        for (const diffId of diffIds) {
          const left = (this.#pins.get(diffId) ?? 1) - 1;
          if (left === 0) this.#pins.delete(diffId);
          else this.#pins.set(diffId, left);
        }
      },
    };
  }

  /** Layers that pulls under way need. */
  pinned(): ReadonlySet<DiffId> {
    return new Set(this.#pins.keys());
  }

  /** Gets every layer; the first failure ends the others. The caller has pinned them. */
  async fetch(request: LayerRequest): Promise<LayerOutcome> {
    const unique = [...new Map(request.layers.map((layer) => [layer.diffId, layer])).values()];
    const shown = unique.map(({ descriptor, diffId }) => new LiveLayer(descriptor, this.#isPresent(diffId) ? 'shared' : 'waiting'));
    const missing = unique.flatMap((layer, at): Wanted[] => {
      const key = `${layer.descriptor.digest} ${layer.descriptor.size} ${layer.diffId}`;
      return shown[at]?.state === 'shared' ? [] : [{ ...layer, key, at }];
    });
    request.show(shown);
    const controller = new AbortController();
    const signal = AbortSignal.any([request.signal, controller.signal]);
    const results = await Promise.allSettled(
      missing.map(async (layer) => {
        try {
          return await this.#get({ ...request, signal }, layer, shown);
        } catch (error) {
          controller.abort(error);
          throw error;
        }
      }),
    );
    if (request.signal.aborted) throw abortError(request.signal);
    if (controller.signal.aborted) throw controller.signal.reason; // the first failure; the others are its echo
    const pulled = missing.filter((_, at) => results[at]?.status === 'fulfilled' && results[at].value);
    const bytes = pulled.reduce((total, layer) => total + layer.descriptor.size, 0);
    return { pulled: pulled.length, shared: unique.length - pulled.length, bytes };
  }

  /** Waits until nothing is under way; the pulls have been aborted. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  #isPresent(diffId: DiffId): boolean {
    return this.#parts.layers.isWhole(diffId);
  }

  /** Gets a layer, by the download under way or one of its own; answers whether it was its own. */
  async #get(request: LayerRequest, layer: Wanted, shown: LiveLayer[]): Promise<boolean> {
    const { key, at, descriptor, diffId } = layer;
    while (!this.#isPresent(diffId)) {
      const other = this.#flights.has(key) ? this.#live.get(key) : undefined;
      if (other !== undefined) this.#parts.observe({ kind: 'joined', what: 'layer' });
      const progress = other?.progress ?? new LiveLayer(descriptor, 'waiting');
      shown[at] = progress;
      let own = false;
      try {
        await this.#flights.join(key, { signal: request.signal }, (signal) => {
          own = true;
          return this.#launch({ ...request, signal }, layer, progress);
        });
        return own;
      } catch (error) {
        if (own || request.signal.aborted || (other !== undefined && failsAlike(error, other, request))) throw error;
      }
    }
    shown[at] = new LiveLayer(descriptor, 'shared');
    return false;
  }

  #launch(request: LayerRequest, { key, descriptor, diffId, content }: Wanted, progress: LiveLayer): Promise<void> {
    const { source, host, origin, what, signal } = request;
    const before = this.#live.get(key)?.ended; // its callers have left; what it has downloaded is about to be free
    const pull = { source, host, layer: descriptor, diffId, content, what, progress, signal };
    const running = Promise.resolve(before)
      .then(() => pullLayer(this.#parts, pull))
      .finally(() => {
        if (this.#live.get(key) === flight) this.#live.delete(key);
        this.#running.delete(running);
      });
    const flight: Flight = { progress, host, origin, ended: running.catch(() => undefined) };
    this.#live.set(key, flight);
    this.#running.add(running);
    return running;
  }
}

/** Would the joiner's own try fail as the flight's did? */
function failsAlike(error: unknown, flight: Flight, joiner: LayerRequest): boolean {
  if (!isRuntimeError(error) || OF_NO_SOURCE.has(error.reason)) return true;
  return OF_THE_HOST.has(error.reason) ? flight.host === joiner.host : flight.origin === joiner.origin;
}
