/**
 * Notices a transfer that still drips but will never end: fewer bytes than a
 * floor over a whole window of waiting for the network. Time that passes
 * while bytes are written to a slow disk is not waiting. It belongs to the
 * transfer, not to any caller's deadline, so a slow but living download of a
 * huge layer goes on.
 */

/** When a transfer counts as stalled. */
export interface StallPolicy {
  /** Least bytes a second, on average over the window. */
  floorBytesPerSecond: number;
  windowMs: number;
}

export class StallGuard implements Disposable {
  readonly #windowMs: number;
  readonly #floorBytes: number;
  readonly #onStall: () => void;
  #timer: NodeJS.Timeout | undefined;
  /** Of the present window: waiting that is left, and what came. */
  #leftMs: number;
  #bytes = 0;
  #waitingSinceMs = 0;

  /** Calls `onStall` once, when a window passed below the floor. Nothing is measured before wait(). */
  constructor(policy: StallPolicy, onStall: () => void) {
    this.#windowMs = policy.windowMs;
    this.#leftMs = policy.windowMs;
    this.#floorBytes = (policy.floorBytesPerSecond * policy.windowMs) / 1000;
    this.#onStall = onStall;
  }

  /** From now on the other side is to send. */
  wait(): void {
    this.#waitingSinceMs = performance.now();
    this.#timer = setTimeout(() => this.#windowEnds(), this.#leftMs);
  }

  /** Some bytes came: the waiting is over until the next wait(). */
  came(bytes: number): void {
    clearTimeout(this.#timer);
    this.#bytes += bytes;
    this.#leftMs -= performance.now() - this.#waitingSinceMs;
    if (this.#leftMs <= 0) this.#judge();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #windowEnds(): void {
    if (this.#judge()) this.wait();
  }

  /** Begins the next window if this one was good. */
  #judge(): boolean {
    const good = this.#bytes >= this.#floorBytes;
    this.#bytes = 0;
    this.#leftMs = this.#windowMs;
    if (!good) this.#onStall();
    return good;
  }
}
