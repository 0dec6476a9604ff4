/**
 * The way through the endpoints of a registry: each is asked in turn, and
 * after a refusal the next one if the endpoint's fallback policy lets us. The
 * one where the way ends is asked again while there is hope: after a pause of
 * ours, or when it said itself how long to leave it alone.
 */
import { sleep } from '../async/index.ts';
import { type Attempt, attemptsError, type Refusal } from './attempts.ts';
import type { Outcome, Place } from './place.ts';

/** How often the last endpoint is asked. */
export interface Patience {
  /** Times it is asked when it fails for the moment. */
  readonly tries: number;
  /** Pause before the second time; tripled for the third. */
  readonly backoffMs: number;
  /** All that is waited because it asked for it. */
  readonly waitLimitMs: number;
}

/** For what nobody else asks for again. */
export const PATIENCE: Patience = { tries: 3, backoffMs: 300, waitLimitMs: 60_000 };
/** For content whose reader retries by itself, but does not know what the endpoint asked for. */
export const READER_PATIENCE: Patience = { ...PATIENCE, tries: 1 };

/** Times an endpoint may put us off, however short the pauses it asks for. */
const PUT_OFF_LIMIT = 10;
/** "At once" of a server that was too busy a moment ago. */
const PUT_OFF_LEAST_MS = 100;

/** One walk. */
export interface Walk<T> {
  places: readonly Place[];
  /** Names what is asked for in errors. */
  what: string;
  ask: (place: Place) => Promise<Outcome<T>>;
  patience: Patience;
  signal: AbortSignal;
}

/** The first good answer and whose it is. Rejects with what all the others said. */
export async function walk<T>({ places, what, ask, patience, signal }: Walk<T>): Promise<{ value: T; place: Place }> {
  const attempts: Attempt[] = [];
  for (const [at, place] of places.entries()) {
    const pauses = new Pauses(patience);
    const ends = (refusal: Refusal): boolean => at === places.length - 1 || !place.endpoint.fallback.has(refusal.failure);
    let outcome = await ask(place);
    while ('refusal' in outcome && ends(outcome.refusal)) {
      const pauseMs = pauses.next(outcome.refusal);
      if (pauseMs === undefined) break;
      await sleep(pauseMs, signal);
      outcome = await ask(place);
    }
    if ('value' in outcome) return { value: outcome.value, place };
    attempts.push({ endpoint: place.endpoint, proxy: place.proxy, refusal: outcome.refusal });
    if (ends(outcome.refusal)) break;
  }
  throw attemptsError(what, attempts);
}

/** What is left of the patience with one endpoint. */
class Pauses {
  readonly #patience: Patience;
  #tries = 1;
  #putOffs = 0;
  #waitedMs = 0;

  constructor(patience: Patience) {
    this.#patience = patience;
  }

  /** Milliseconds until it is asked again; undefined is not at all. */
  next(refusal: Refusal): number | undefined {
    const { tries, backoffMs, waitLimitMs } = this.#patience;
    if (refusal.retryAfterMs !== undefined) {
      const waitMs = Math.max(PUT_OFF_LEAST_MS, refusal.retryAfterMs);
      this.#putOffs += 1;
      this.#waitedMs += waitMs;
      return this.#putOffs <= PUT_OFF_LIMIT && this.#waitedMs <= waitLimitMs ? waitMs : undefined;
    }
    if (!refusal.transient || this.#tries >= tries) return undefined;
    this.#tries += 1;
    return backoffMs * 3 ** (this.#tries - 2);
  }
}
