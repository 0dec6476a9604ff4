/**
 * Sizes of containers' writable layers. Walking one costs far more than
 * reading a cgroup, so figures are cached and renewed in the background, one
 * walk at a time, only while somebody asks and only for running containers.
 */
import { Limiter } from '../async/index.ts';
import type { WritableLayerStats } from './types.ts';

/** A figure younger than this is not renewed; kubelet asks every 10 s. */
const REFRESH_MS = 10_000;

/** Measures a container's writable layer; undefined when it has none (any more). */
export type MeasureLayer = (containerId: string) => Promise<WritableLayerStats | undefined>;

interface Entry {
  stats?: WritableLayerStats;
  measuredAtMs: number;
  pending?: Promise<void>;
}

export class LayerCache {
  readonly #measure: MeasureLayer;
  readonly #onError: (containerId: string, error: unknown) => void;
  readonly #entries = new Map<string, Entry>();
  readonly #limiter = new Limiter(1);
  #closed = false;

  constructor(measure: MeasureLayer, onError: (containerId: string, error: unknown) => void) {
    this.#measure = measure;
    this.#onError = onError;
  }

  /** The last figure, at once; starts a renewal when it is old. */
  get(containerId: string): WritableLayerStats | undefined {
    const entry = this.#entries.get(containerId) ?? { measuredAtMs: Number.NEGATIVE_INFINITY };
    this.#entries.set(containerId, entry);
    if (entry.pending === undefined && performance.now() - entry.measuredAtMs >= REFRESH_MS) {
      entry.pending = this.#limiter.run(() => this.#renew(containerId, entry));
    }
    return entry.stats;
  }

  /** Resolves when the renewals of these containers that are under way have ended; never rejects. */
  async settled(containerIds: readonly string[]): Promise<void> {
    await Promise.all(containerIds.map((id) => this.#entries.get(id)?.pending));
  }

  /** Forgets every container that is not in `live`. */
  prune(live: ReadonlySet<string>): void {
    for (const id of this.#entries.keys()) if (!live.has(id)) this.#entries.delete(id);
  }

  /** Starts no further walk. */
  close(): void {
    this.#closed = true;
    this.#entries.clear();
  }

  async #renew(containerId: string, entry: Entry): Promise<void> {
    try {
      // A container that ended while it waited for its turn is not walked.
      if (this.#closed || this.#entries.get(containerId) !== entry) return;
      const stats = await this.#measure(containerId);
      if (stats !== undefined) entry.stats = stats;
    } catch (error) {
      this.#onError(containerId, error); // the old figure stays, with its own timestamp
    } finally {
      entry.measuredAtMs = performance.now();
      delete entry.pending;
    }
  }
}
