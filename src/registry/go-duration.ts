/** Durations as Go writes them (time.ParseDuration), which is what hosts files carry. Pure. */

/** Milliseconds a unit. */
const UNITS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const FORM = /^\+?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
const PART = /([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)/g;

/** Milliseconds of `300ms`, `1.5s` or `1m30s`; undefined for anything else, a negative one too. */
export function parseGoDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!FORM.test(text)) return undefined;
  let milliseconds = 0;
  for (const [, amount, unit] of text.matchAll(PART)) milliseconds += Number(amount) * (UNITS[unit ?? ''] ?? 0);
  return milliseconds;
}
