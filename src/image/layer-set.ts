/**
 * Gets the layers of an image, each at most once at a time in the whole
 * daemon, and keeps count of what pulls under way need, so that nothing a
 * pull has found or brought is freed before its image is committed.
 */
import { abortError, SingleFlight } from '../async/index.ts';
import type { DiffId } from '../ids/index.ts';
import type { Descriptor } from '../registry/index.ts';
import { type LayerPullParts, pullLayer } from './layer-pull.ts';
import type { ImageSource } from './source.ts';
import type { LayerProgress } from './types.ts';

/** The layers of one pull. */
export interface LayerRequest {
  source: ImageSource;
  /** Registry host: layers coming from different ones are different downloads. */
  host: string;
  layers: readonly { descriptor: Descriptor; diffId: DiffId }[];
  what: string;
  signal: AbortSignal;
  /** Takes the entries to show, one a layer. */
  show: (progress: LayerProgress[]) => void;
}

/** What had to be fetched. */
export interface LayerOutcome {
  pulled: number;
  shared: number;
  bytes: number;
}

export class LayerSet {
  readonly #parts: LayerPullParts;
  readonly #flights = new SingleFlight<string, void>();
  readonly #live = new Map<string, LayerProgress>();
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
    const wanted = unique.map((layer) => ({ ...layer, key: `${request.host} ${layer.diffId}`, present: this.#isPresent(layer.diffId) }));
    const progress = wanted.map((layer) =>
      layer.present ? sharedProgress(layer.descriptor) : this.#progressOf(layer.key, layer.descriptor),
    );
    request.show(progress);
    const controller = new AbortController();
    const signal = AbortSignal.any([request.signal, controller.signal]);
    const missing = wanted.filter((layer) => !layer.present);
    const results = await Promise.allSettled(
      missing.map(async (layer) => {
        try {
          await this.#join(request, layer, signal);
        } catch (error) {
          controller.abort(error);
          throw error;
        }
      }),
    );
    if (request.signal.aborted) throw abortError(request.signal);
    if (controller.signal.aborted) throw controller.signal.reason; // the first failure; the others are its echo
    const bytes = missing.reduce((total, layer) => total + layer.descriptor.size, 0);
    return { pulled: results.length, shared: wanted.length - results.length, bytes };
  }

  /** Waits until nothing is under way; the pulls have been aborted. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  #isPresent(diffId: DiffId): boolean {
    return this.#parts.layers.isWhole(diffId);
  }

  #join(request: LayerRequest, layer: { key: string; descriptor: Descriptor; diffId: DiffId }, signal: AbortSignal): Promise<void> {
    return this.#flights.join(layer.key, { signal }, (flightSignal) => {
      const { source, what } = request;
      const { descriptor, diffId, key } = layer;
      const progress = this.#progressOf(key, descriptor);
      const running = pullLayer(this.#parts, { source, layer: descriptor, diffId, what, progress, signal: flightSignal }).finally(() => {
        if (this.#live.get(key) === progress) this.#live.delete(key);
        this.#running.delete(running);
      });
      this.#running.add(running);
      return running;
    });
  }

  /** The entry of a download, the same one for all pulls that wait for it. */
  #progressOf(key: string, descriptor: Descriptor): LayerProgress {
    const entry = this.#live.get(key) ?? { digest: descriptor.digest, totalBytes: descriptor.size, downloadedBytes: 0, state: 'waiting' };
    this.#live.set(key, entry);
    return entry;
  }
}

const sharedProgress = (descriptor: Descriptor): LayerProgress => ({
  digest: descriptor.digest,
  totalBytes: descriptor.size,
  downloadedBytes: 0,
  state: 'shared',
});
