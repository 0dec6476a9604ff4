/** The Retry-After header (RFC 9110, section 10.2.3). Pure. */

/** Milliseconds to wait from `nowMs` (Unix time) on; undefined when the header is absent or unreadable. */
export function parseRetryAfter(header: string | string[] | undefined, nowMs: number): number | undefined {
  const text = (typeof header === 'string' ? header : header?.[0])?.trim();
  if (text === undefined || text === '') return undefined;
  if (/^[0-9]{1,10}$/.test(text)) return Number(text) * 1000;
  // Date.parse takes many forms; an HTTP-date begins with the name of a day.
  const at = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
