/**
 * Numbers for people and back: ages, sizes, durations, cpu and memory
 * quantities. Pure; parsers answer undefined for what they do not understand.
 */

const SECOND_NS = 1_000_000_000n;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Seconds as kubectl writes an age: the two largest units while they say something (`45s`, `3m20s`, `5h`, `12d`). */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 2 * MINUTE) return `${whole}s`;
  if (whole < 10 * MINUTE) return pair([Math.floor(whole / MINUTE), 'm'], [whole % MINUTE, 's']);
  if (whole < 3 * HOUR) return `${Math.floor(whole / MINUTE)}m`;
  if (whole < 8 * HOUR) return pair([Math.floor(whole / HOUR), 'h'], [Math.floor((whole % HOUR) / MINUTE), 'm']);
  if (whole < 2 * DAY) return `${Math.floor(whole / HOUR)}h`;
  if (whole < 8 * DAY) return pair([Math.floor(whole / DAY), 'd'], [Math.floor((whole % DAY) / HOUR), 'h']);
  return `${Math.floor(whole / DAY)}d`;
}

function pair([large, largeUnit]: [number, string], [small, smallUnit]: [number, string]): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;
}

/** Age of a Unix time in ns, as decimal digits, at `nowNs`; '' when it is 0 or absent. */
export function formatAge(atNs: string | undefined, nowNs: bigint): string {
  if (atNs === undefined || atNs === '' || atNs === '0') return '';
  return formatSeconds(Number((nowNs - BigInt(atNs)) / SECOND_NS));
}

/** A Unix time in ns as RFC 3339 in UTC with milliseconds. */
export function formatTime(atNs: string): string {
  return new Date(Number(BigInt(atNs) / 1_000_000n)).toISOString();
}

const SIZE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Bytes with three digits or so: `0 B`, `812 B`, `4.3 MiB`, `128 MiB`. */
export function formatBytes(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 1000 && unit < SIZE_UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || amount >= 99.95 ? 0 : 1;
  return `${amount.toFixed(digits)} ${SIZE_UNITS[unit]}`;
}

const DURATION_SECONDS: Record<string, number> = { ms: 0.001, s: 1, m: MINUTE, h: HOUR, d: DAY };

/** Seconds of a duration such as `90s`, `1h30m`, `500ms`, `2d`. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    seconds += Number(amount) * (DURATION_SECONDS[unit ?? ''] ?? 0);
  return seconds;
}

const QUANTITY_UNITS: Record<string, number> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** Bytes of a Kubernetes memory quantity: `64Mi`, `1.5Gi`, `500M`, `1048576`. */
export function parseMemory(text: string): bigint | undefined {
  const match = /^(\d+(?:\.\d+)?)(k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(text);
  if (match === null) return undefined;
  return BigInt(Math.ceil(Number(match[1]) * (QUANTITY_UNITS[match[2] ?? ''] ?? 1)));
}

/** Thousandths of a cpu of a Kubernetes cpu quantity: `2`, `0.5`, `250m`. */
export function parseCpus(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(m)?$/.exec(text);
  if (match === null) return undefined;
  const millis = Math.round(Number(match[1]) * (match[2] === 'm' ? 1 : 1000));
  return millis > 0 ? millis : undefined;
}
