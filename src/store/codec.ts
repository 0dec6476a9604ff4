/**
 * JSON that keeps what JSON drops: a bigint is `{"$n":"123"}`, bytes are
 * `{"$b":"base64"}`, and an object that could be taken for one of these (a
 * label may be called `$n`) is `{"$o":[[key,value]]}`. Used for rows of the
 * store and for nothing on the wire.
 */

const replacer = (_key: string, value: unknown): unknown => {
  if (typeof value === 'bigint') return { $n: value.toString() };
  if (value instanceof Uint8Array) return { $b: Buffer.from(value).toString('base64') };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value);
  return entries.length === 1 && entries[0]?.[0].startsWith('$') ? { $o: entries } : value;
};

const reviver = (_key: string, value: unknown): unknown => {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 1) return value;
  if ('$n' in value && typeof value.$n === 'string') return BigInt(value.$n);
  if ('$b' in value && typeof value.$b === 'string') return new Uint8Array(Buffer.from(value.$b, 'base64'));
  if ('$o' in value && Array.isArray(value.$o)) return Object.fromEntries(value.$o);
  return value;
};

/** A value as the text of a row. A Buffer must be passed as a plain Uint8Array. */
export const encodeRow = (value: unknown): string => JSON.stringify(value, replacer);

/** The value of a row's text. */
export const decodeRow = (text: string): unknown => JSON.parse(text, reviver);

/** True when two values are the same row, as what is asked for anew and what was stored. */
export const sameDocument = (a: unknown, b: unknown): boolean => encodeRow(a) === encodeRow(b);
