/**
 * Notices a transfer that still drips but will never end: fewer bytes than a
 * floor over a whole window. It belongs to the transfer, not to any caller's
 * deadline, so a slow but living download of a huge layer goes on.
 */

/** When a transfer counts as stalled. */
export interface StallPolicy {
  /** Least bytes a second, on average over the window. */
  floorBytesPerSecond: number;
  windowMs: number;
}

export class StallGuard implements Disposable {
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;

  /** Calls `onStall` once, when a window passed below the floor. */
  constructor(policy: StallPolicy, onStall: () => void) {
    const floor = (policy.floorBytesPerSecond * policy.windowMs) / 1000;
    this.#timer = setInterval(() => {
      if (this.#bytes < floor) {
        clearInterval(this.#timer);
        onStall();
      }
      this.#bytes = 0;
    }, policy.windowMs);
  }

  /** Some bytes came. */
  count(bytes: number): void {
    this.#bytes += bytes;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
