/**
 * What pulls under way have done so far, for people to watch. A layer has one
 * entry, written by whoever brings it and shown by every pull that waits for
 * it. Watchers are woken at most ten times a second, however fast the bytes
 * come, and now and then while nothing comes, since a rate falls by itself.
 */
import { abortable } from '../async/index.ts';
import type { ImageId } from '../ids/index.ts';
import { RateMeter } from './rate.ts';
import type { LayerProgress, PullProgress } from './types.ts';

/** Ended pulls that are still shown. */
const ENDED_KEPT = 20;
/** Watchers are woken at most this often, in ms. */
const WAKE_INTERVAL_MS = 100;
/** And at least this often while a pull is under way, in ms. */
const IDLE_WAKE_MS = 1_000;

/** One layer being brought, or there already. */
export class LiveLayer {
  readonly digest: string;
  readonly totalBytes: number;
  state: LayerProgress['state'];
  downloadedBytes = 0;
  resumedBytes = 0;
  /** HOST[:PORT] that serves it; '' before it answered. */
  source = '';
  /** Asked when somebody looks: the unpacking thread counts on its own. */
  unpackedBytes: () => number = () => 0;
  readonly #rate = new RateMeter();

  constructor(layer: { digest: string; size: number }, state: 'waiting' | 'shared') {
    this.digest = layer.digest;
    this.totalBytes = layer.size;
    this.state = state;
  }

  /** Begins anew: what was there of it turned out wrong, or another source is tried. */
  reset(): void {
    Object.assign(this, { state: 'waiting', downloadedBytes: 0, resumedBytes: 0, source: '' });
    this.unpackedBytes = () => 0;
  }

  /** So many bytes came over the network. */
  received(bytes: number): void {
    this.#rate.add(bytes, performance.now());
  }

  bytesPerSecond(): number {
    return this.#rate.perSecond(performance.now());
  }

  /** Bytes still to come. */
  get missingBytes(): number {
    const complete = this.state === 'unpacking' || this.state === 'done' || this.state === 'shared';
    return complete ? 0 : this.totalBytes - this.downloadedBytes;
  }

  view(): LayerProgress {
    const { digest, totalBytes, downloadedBytes, resumedBytes, source, state } = this;
    return { digest, totalBytes, downloadedBytes, resumedBytes, unpackedBytes: this.unpackedBytes(), source, state };
  }
}

/** One pull under way; its owner writes into it and says that something changed. */
export class LivePull {
  readonly reference: string;
  readonly startedAtNs: bigint;
  state: PullProgress['state'] = 'resolving';
  layers: readonly LiveLayer[] = [];
  error?: string;
  imageId?: ImageId;

  constructor(reference: string, startedAtNs: bigint) {
    this.reference = reference;
    this.startedAtNs = startedAtNs;
  }

  view(endedAtNs = 0n): PullProgress {
    const { reference, startedAtNs, state, error, imageId } = this;
    const ended = endedAtNs !== 0n;
    const bytesPerSecond = ended ? 0 : this.layers.reduce((sum, layer) => sum + (layer.missingBytes > 0 ? layer.bytesPerSecond() : 0), 0);
    const missing = this.layers.reduce((sum, layer) => sum + layer.missingBytes, 0);
    return {
      reference,
      startedAtNs,
      endedAtNs,
      state,
      layers: this.layers.map((layer) => layer.view()),
      bytesPerSecond,
      ...(bytesPerSecond > 0 && missing > 0 ? { endsInMs: (missing / bytesPerSecond) * 1000 } : {}),
      ...(error === undefined ? {} : { error }),
      ...(imageId === undefined ? {} : { imageId }),
    };
  }
}

export class ProgressBoard {
  readonly #active = new Set<LivePull>();
  readonly #ended: PullProgress[] = [];
  #change = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | undefined;

  /** Enters a pull; its owner writes into the entry and calls changed(). */
  begin(reference: string, startedAtNs: bigint): LivePull {
    const entry = new LivePull(reference, startedAtNs);
    this.#active.add(entry);
    this.changed();
    return entry;
  }

  /** The pull of `entry` has ended, its state says how. */
  end(entry: LivePull, endedAtNs: bigint): void {
    this.#active.delete(entry);
    this.#ended.push(entry.view(endedAtNs));
    if (this.#ended.length > ENDED_KEPT) this.#ended.shift();
    this.changed();
  }

  /** Some entry was written. */
  changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#change.resolve();
      this.#change = Promise.withResolvers();
    }, WAKE_INTERVAL_MS).unref();
  }

  /** Copies, ended ones first, each in order of start. */
  list(): PullProgress[] {
    return [...this.#ended, ...Array.from(this.#active, (entry) => entry.view())];
  }

  /** Resolves at the next change, or after a second of a pull under way; rejects when `signal` aborts. */
  async next(signal: AbortSignal): Promise<void> {
    const idle = this.#active.size === 0 ? undefined : setTimeout(() => this.changed(), IDLE_WAKE_MS).unref();
    try {
      await abortable(this.#change.promise, signal);
    } finally {
      clearTimeout(idle);
    }
  }
}
