/**
 * Bytes a second over the last few seconds, so that a rate follows what
 * happens now and falls to nothing when nothing comes. Pure: the caller
 * supplies the time. Bytes are counted in slots of a ring; a slot that has
 * grown old is counted no more.
 */

const SLOT_MS = 500;
const SLOTS = 10;

export class RateMeter {
  readonly #bytes = new Float64Array(SLOTS);
  /** Number of the slot's interval since time 0, to tell an old one. */
  readonly #numbers = new Float64Array(SLOTS).fill(-1);
  #firstMs: number | undefined;

  /** `bytes` came at `nowMs`, a time that never goes back. */
  add(bytes: number, nowMs: number): void {
    const number = Math.floor(nowMs / SLOT_MS);
    const at = number % SLOTS;
    if (this.#numbers[at] !== number) this.#bytes[at] = 0;
    this.#numbers[at] = number;
    this.#bytes[at] = (this.#bytes[at] ?? 0) + bytes;
    this.#firstMs ??= nowMs;
  }

  /** Bytes a second up to `nowMs`; 0 before anything came. */
  perSecond(nowMs: number): number {
    if (this.#firstMs === undefined) return 0;
    const oldest = Math.floor(nowMs / SLOT_MS) - SLOTS + 1;
    const total = this.#bytes.reduce((sum, bytes, at) => sum + ((this.#numbers[at] ?? -1) >= oldest ? bytes : 0), 0);
    const spanMs = Math.min(nowMs - this.#firstMs, nowMs - oldest * SLOT_MS);
    return total / (Math.max(SLOT_MS, spanMs) / 1000);
  }
}
