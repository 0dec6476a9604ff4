/**
 * What pulls under way have done so far, for people to watch. Pulls write
 * into their own entry and say that something changed; watchers are woken at
 * most ten times a second, however fast the bytes come.
 */
import { abortable } from '../async/index.ts';
import type { PullProgress } from './types.ts';

/** Ended pulls that are still shown. */
const ENDED_KEPT = 20;
/** Watchers are woken at most this often, in ms. */
const WAKE_INTERVAL_MS = 100;

export class ProgressBoard {
  readonly #active = new Set<PullProgress>();
  readonly #ended: PullProgress[] = [];
  #change = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | undefined;

  /** Enters a pull; its owner writes into the entry and calls changed(). */
  begin(reference: string, startedAtNs: bigint): PullProgress {
    const entry: PullProgress = { reference, startedAtNs, layers: [], state: 'resolving' };
    this.#active.add(entry);
    this.changed();
    return entry;
  }

  /** The pull of `entry` has ended, its state says how. */
  end(entry: PullProgress): void {
    this.#active.delete(entry);
    this.#ended.push(entry);
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
    return [...this.#ended, ...this.#active].map((entry) => ({ ...entry, layers: entry.layers.map((layer) => ({ ...layer })) }));
  }

  /** Resolves at the next change; rejects when `signal` aborts. */
  next(signal: AbortSignal): Promise<void> {
    return abortable(this.#change.promise, signal);
  }
}
