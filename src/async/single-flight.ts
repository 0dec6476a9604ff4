/**
 * Callers with the same key share one piece of work. The work belongs to
 * nobody: a caller whose signal aborts leaves alone, and the others keep
 * waiting. When the last one left, the work's own signal aborts, unless the
 * result is wanted all the same (`detached`).
 */
import { abortable } from './deadline.ts';

interface Flight<T> {
  readonly promise: Promise<T>;
  readonly controller: AbortController;
  waiters: number;
}

/** Options of one joining caller. */
export interface JoinOptions {
  signal: AbortSignal;
  /** Let the work finish when every caller has left. */
  detached?: boolean;
}

export class SingleFlight<K, T> {
  readonly #flights = new Map<K, Flight<T>>();

  /** Joins the work of `key`, starting it when there is none. */
  async join(key: K, options: JoinOptions, start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const flight = this.#flights.get(key) ?? this.#launch(key, start);
    flight.waiters += 1;
    try {
      return await abortable(flight.promise, options.signal);
    } finally {
      flight.waiters -= 1;
      if (flight.waiters === 0 && options.detached !== true) {
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        flight.controller.abort();
      }
    }
  }

  /** True while work of `key` is under way. */
  has(key: K): boolean {
    return this.#flights.has(key);
  }

  #launch(key: K, start: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController();
    const promise = start(controller.signal).finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    const flight: Flight<T> = { promise, controller, waiters: 0 };
    promise.catch(() => undefined); // each waiter sees the failure through join()
    this.#flights.set(key, flight);
    return flight;
  }
}
