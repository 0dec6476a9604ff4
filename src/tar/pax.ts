/**
 * PAX extended headers: records "LENGTH KEY=VALUE\n" that override fields of
 * the next header. Pure; values are bytes. Only the keys that decide what is
 * unpacked are kept, the rest (comments, vendors' notes) is dropped. Source:
 * POSIX pax(1) "pax Extended Header"; SCHILY.xattr from star(1).
 */
import { type ByteString, byteString, layerError } from './bytes.ts';

/** What extended headers say about the next member. */
export interface Extended {
  path?: ByteString;
  linkPath?: ByteString;
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: Timestamp;
  /** By name. */
  xattrs?: Map<string, Buffer>;
}

/** A point in time as the kernel takes it. */
export interface Timestamp {
  seconds: bigint;
  nanoseconds: number;
}

/** Digits of a record's length: the header itself is bounded to 1 MiB. */
const LENGTH_DIGITS = 7;
const XATTR_PREFIX = 'SCHILY.xattr.';
/** Extended attributes one member may carry; the file system's own bound is a few KiB. */
const XATTRS_LIMIT = 256;

/** Parses the data of an 'x' or 'g' member. An empty value takes a key back (POSIX). Throws IMAGE_LAYER. */
export function parsePax(data: Buffer): Extended {
  const result: Extended = {};
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(0x20, at);
    const digits = data.toString('latin1', at, space < 0 ? at : Math.min(space, at + LENGTH_DIGITS + 1));
    const length = /^[0-9]+$/.test(digits) && digits.length <= LENGTH_DIGITS ? Number(digits) : Number.NaN;
    const end = at + length;
    if (!Number.isInteger(length) || end <= space + 1 || end > data.length || data[end - 1] !== 0x0a) {
      throw layerError('a PAX header is malformed (a record’s length is wrong)');
    }
    const equals = data.indexOf(0x3d, space);
    if (equals < 0 || equals >= end) throw layerError('a PAX header is malformed (a record has no “=”)');
    apply(result, byteString(data.subarray(space + 1, equals)), data.subarray(equals + 1, end - 1));
    at = end;
  }
  return result;
}

function apply(result: Extended, key: string, value: Buffer): void {
  if (key.startsWith(XATTR_PREFIX)) {
    result.xattrs ??= new Map();
    if (result.xattrs.size >= XATTRS_LIMIT) throw layerError(`a member has more than ${XATTRS_LIMIT} extended attributes`);
    result.xattrs.set(key.slice(XATTR_PREFIX.length), Buffer.from(value)); // a copy: the header's buffer is reused
    return;
  }
  if (key.startsWith('GNU.sparse.')) throw layerError('it holds a sparse file, which this version does not unpack');
  if (value.length === 0) return;
  const text = byteString(value);
  if (key === 'path') result.path = text;
  else if (key === 'linkpath') result.linkPath = text;
  else if (key === 'size') result.size = integer(text, key);
  else if (key === 'uid') result.uid = integer(text, key);
  else if (key === 'gid') result.gid = integer(text, key);
  else if (key === 'mtime') result.mtime = parseTime(text);
}

function integer(text: string, key: string): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw layerError(`a PAX header’s ${key} is not a number`);
  return value;
}

/** Decimal seconds, with or without a fraction, also negative. */
function parseTime(text: string): Timestamp {
  const match = /^(-?)([0-9]{1,12})(?:\.([0-9]*))?$/.exec(text);
  if (match === null) throw layerError('a PAX header’s mtime is not a number');
  const [, sign, whole = '0', fraction = ''] = match;
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign === '') return { seconds: BigInt(whole), nanoseconds };
  // the kernel wants the fraction positive: -1.25 s is -2 s + 0.75 s
  return nanoseconds === 0
    ? { seconds: -BigInt(whole), nanoseconds: 0 }
    : { seconds: -BigInt(whole) - 1n, nanoseconds: 1_000_000_000 - nanoseconds };
}
