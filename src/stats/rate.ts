/**
 * CPU rates from successive readings. A rate is taken over at least
 * MIN_INTERVAL_NS: over less, the kernel's tick makes it noise, and the last
 * rate is repeated.
 */
import type { CgroupStats } from '../cgroup/index.ts';

const NS_PER_SECOND = 1_000_000_000n;
const MIN_INTERVAL_NS = 500_000_000n;

interface Baseline {
  usageNs: bigint;
  atNs: bigint;
  rate: bigint | undefined;
}

export class CpuRates {
  readonly #baselines = new Map<string, Baseline>();

  /** Takes a reading in and tells the rate: ns of cpu per second, undefined with the first reading of a key. */
  update(key: string, stats: CgroupStats): bigint | undefined {
    const { usageNs } = stats.cpu;
    const atNs = stats.timestampNs;
    const before = this.#baselines.get(key);
    // A counter or clock that went back: the cgroup was made anew, or the time was set.
    if (before === undefined || usageNs < before.usageNs || atNs < before.atNs) {
      this.#baselines.set(key, { usageNs, atNs, rate: undefined });
      return undefined;
    }
    const elapsedNs = atNs - before.atNs;
    if (elapsedNs < MIN_INTERVAL_NS) return before.rate;
    const rate = ((usageNs - before.usageNs) * NS_PER_SECOND) / elapsedNs;
    this.#baselines.set(key, { usageNs, atNs, rate });
    return rate;
  }

  /** Forgets every key that is not in `live`. */
  prune(live: ReadonlySet<string>): void {
    for (const key of this.#baselines.keys()) if (!live.has(key)) this.#baselines.delete(key);
  }
}
