/**
 * Lag of the event loop, independent of who scrapes when: two histograms,
 * of this minute and of the one before, are read together, so a scrape never
 * takes a stall away from the next one's sight.
 */
import { type ELDHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

/** Sampling timer; the histogram holds its own period too, which is taken off. Finer would wake an idle daemon more often. */
const RESOLUTION_MS = 20;
const WINDOW_MS = 60_000;
const NS_PER_SECOND = 1e9;

/** Seconds of lag. */
interface Lag {
  p50: number;
  p99: number;
  max: number;
}

const NONE: Lag = { p50: 0, p99: 0, max: 0 };

/** Histogram nanoseconds to seconds of lag. */
const lag = (ns: number): number => Math.max(0, ns / NS_PER_SECOND - RESOLUTION_MS / 1000);

function read(histogram: ELDHistogram): Lag {
  if (histogram.count === 0) return NONE;
  return { p50: lag(histogram.percentile(50)), p99: lag(histogram.percentile(99)), max: lag(histogram.max) };
}

export class EventLoopLag implements Disposable {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: NodeJS.Timeout;
  #before = NONE;

  constructor() {
    this.#histogram.enable();
    this.#timer = setInterval(() => {
      this.#before = read(this.#histogram);
      this.#histogram.reset();
    }, WINDOW_MS);
    this.#timer.unref();
  }

  /** The worse of this window and the one before. */
  read(): Lag {
    const now = read(this.#histogram);
    const { p50, p99, max } = this.#before;
    return { p50: Math.max(now.p50, p50), p99: Math.max(now.p99, p99), max: Math.max(now.max, max) };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#histogram.disable();
  }
}
