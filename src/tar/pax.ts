/**
 * PAX extended headers: records "LENGTH KEY=VALUE\n" that override fields of
 * the next header. Pure; values are bytes. Only the keys that decide what is
 * unpacked are kept, the rest (comments, charsets, vendors' notes) is
 * dropped. Source: POSIX pax(1) "pax Extended Header"; SCHILY.xattr from
 * star(1), LIBARCHIVE.xattr from libarchive's bsdtar, GNU.sparse from GNU tar.
 */
import { type ByteString, byteString, layerError } from './bytes.ts';
import { PaxSparse } from './sparse.ts';

/** What extended headers say about the next member; undefined takes back what an earlier one said. */
export interface Extended {
  path?: ByteString | undefined;
  linkPath?: ByteString | undefined;
  size?: number | undefined;
  uid?: number | undefined;
  gid?: number | undefined;
  mtime?: Timestamp | undefined;
  /** By name. */
  xattrs?: Map<string, Buffer>;
  sparse?: PaxSparse;
}

/** A point in time as the kernel takes it. */
export interface Timestamp {
  seconds: number;
  nanoseconds: number;
}

/** Digits of a record's length: the header itself is bounded to 1 MiB. */
const LENGTH_DIGITS = 7;
const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;
const XATTR_PREFIX = 'SCHILY.xattr.';
const LIBARCHIVE_XATTR_PREFIX = 'LIBARCHIVE.xattr.';
const SPARSE_PREFIX = 'GNU.sparse.';
/** Extended attributes one member may carry; the file system's own bound is a few KiB. */
export const XATTRS_LIMIT = 256;

/** Parses the data of an 'x' or 'g' member. An empty value takes a key back (POSIX). Throws IMAGE_LAYER. */
export function parsePax(data: Buffer): Extended {
  const result: Extended = {};
  let at = 0;
  while (at < data.length) {
    const { start, end } = recordAt(data, at);
    const equals = data.indexOf(EQUALS, start);
    if (equals < 0 || equals >= end) throw layerError('a PAX header is malformed (a record has no “=”)');
    apply(result, byteString(data.subarray(start, equals)), data.subarray(equals + 1, end - 1));
    at = end;
  }
  return result;
}

/** Where the record at `at` has its key, and where the next one begins. */
function recordAt(data: Buffer, at: number): { start: number; end: number } {
  let length = 0;
  let space = at;
  for (; data[space] !== SPACE; space += 1) {
    const digit = (data[space] ?? 0) - 0x30;
    if (!(digit >= 0 && digit <= 9) || space - at >= LENGTH_DIGITS) throw badLength();
    length = length * 10 + digit;
  }
  const end = at + length;
  if (end <= space + 1 || end > data.length || data[end - 1] !== NEWLINE) throw badLength();
  return { start: space + 1, end };
}

const badLength = () => layerError('a PAX header is malformed (a record’s length is wrong)');

function apply(result: Extended, key: string, value: Buffer): void {
  if (key.startsWith(XATTR_PREFIX)) setXattr(result, key.slice(XATTR_PREFIX.length), value);
  else if (key.startsWith(LIBARCHIVE_XATTR_PREFIX)) setLibarchiveXattr(result, key.slice(LIBARCHIVE_XATTR_PREFIX.length), value);
  else if (key.startsWith(SPARSE_PREFIX)) {
    result.sparse ??= new PaxSparse();
    result.sparse.set(key.slice(SPARSE_PREFIX.length), byteString(value));
  } else applyField(result, key, value.length === 0 ? undefined : byteString(value));
}

function applyField(result: Extended, key: string, text: ByteString | undefined): void {
  if (key === 'path') result.path = text;
  else if (key === 'linkpath') result.linkPath = text;
  else if (key === 'size') result.size = integer(text, key);
  else if (key === 'uid') result.uid = integer(text, key);
  else if (key === 'gid') result.gid = integer(text, key);
  else if (key === 'mtime') result.mtime = text === undefined ? undefined : parseTime(text);
}

export const tooManyXattrs = (): Error => layerError(`a member has more than ${XATTRS_LIMIT} extended attributes`);

/** An empty attribute is one too: it takes nothing back. */
function setXattr(result: Extended, name: string, value: Buffer): void {
  result.xattrs ??= new Map();
  if (result.xattrs.size >= XATTRS_LIMIT) throw tooManyXattrs();
  if (name === '' || name.includes('\0')) throw layerError('an extended attribute has no name, or a NUL byte in it');
  result.xattrs.set(name, Buffer.from(value)); // a copy: the header's buffer is reused
}

/** Name in URL encoding, value in base64. bsdtar writes most attributes in star's way too, which wins. */
function setLibarchiveXattr(result: Extended, encoded: string, value: Buffer): void {
  const name = encoded.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  if (result.xattrs?.has(name) !== true) setXattr(result, name, Buffer.from(byteString(value), 'base64'));
}

function integer(text: string | undefined, key: string): number | undefined {
  if (text === undefined) return undefined;
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw layerError(`a PAX header’s ${key} is not a number`);
  return value;
}

/** Decimal seconds, with or without a fraction, also negative. */
function parseTime(text: string): Timestamp {
  const match = /^(-?)([0-9]{1,12})(?:\.([0-9]*))?$/.exec(text);
  if (match === null) throw layerError('a PAX header’s mtime is not a number');
  const [, sign, whole = '0', fraction = ''] = match;
  const seconds = Number(whole);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign === '') return { seconds, nanoseconds };
  // the kernel wants the fraction positive: -1.25 s is -2 s + 0.75 s
  return nanoseconds === 0 ? { seconds: 0 - seconds, nanoseconds: 0 } : { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}
