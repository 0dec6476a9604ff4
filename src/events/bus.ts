/**
 * The event bus. Publishing never waits. Each subscriber has a bounded queue;
 * one that overflows is closed with `overflowed` set, so its reader knows it
 * missed something and lists again: a silent loss cannot happen.
 */

/** What happened (api.proto ContainerEventType). */
export type LifecycleEventKind = 'created' | 'started' | 'stopped' | 'deleted';

/** One event; `containerId` equals the sandbox id for events of the sandbox itself. */
export interface LifecycleEvent {
  readonly kind: LifecycleEventKind;
  readonly sandboxId: string;
  readonly containerId: string;
  /** Unix time, ns; the clock may step back between two events. */
  readonly atNs: bigint;
}

/** Events a subscriber may have unread before it is closed: minutes of a busy node. */
const QUEUE_LIMIT = 4096;

/** A subscriber's end: iterate it, dispose it. */
export interface Subscription<E> extends AsyncIterable<E>, Disposable {
  /** True once the subscription was closed because its reader was too slow. */
  readonly overflowed: boolean;
}

export class EventBus<E extends LifecycleEvent> {
  readonly #queues = new Set<Queue<E>>();

  /** Hands `event` to every subscriber. */
  publish(event: E): void {
    for (const queue of this.#queues) if (!queue.push(event)) this.#queues.delete(queue);
  }

  /** A new subscription that sees events from now on. */
  subscribe(): Subscription<E> {
    const queue = new Queue<E>(() => this.#queues.delete(queue));
    this.#queues.add(queue);
    return queue;
  }

  /** Number of open subscriptions. */
  get subscribers(): number {
    return this.#queues.size;
  }

  /** Ends every subscription (daemon shutdown). */
  close(): void {
    for (const queue of this.#queues) queue[Symbol.dispose]();
  }
}

class Queue<E> implements Subscription<E> {
  overflowed = false;
  #closed = false;
  #items: E[] = [];
  #wake: (() => void) | undefined;
  readonly #onClose: () => void;

  constructor(onClose: () => void) {
    this.#onClose = onClose;
  }

  push(event: E): boolean {
    if (this.#closed) return false;
    if (this.#items.length >= QUEUE_LIMIT) {
      this.overflowed = true;
      this[Symbol.dispose]();
      return false;
    }
    this.#items.push(event);
    this.#wake?.();
    return true;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<E> {
    for (;;) {
      const batch = this.#items;
      this.#items = [];
      yield* batch;
      if (this.#items.length > 0) continue;
      if (this.#closed) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#onClose();
    this.#wake?.();
  }
}
