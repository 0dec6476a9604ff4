/**
 * One 512-byte tar header, from bytes to fields: v7, ustar, GNU and PAX
 * archives share it. Pure. The checksum must be right; numbers are octal or
 * base-256 (GNU). Source: POSIX pax(1) "ustar Interchange Format", GNU tar
 * manual "Basic Tar Format".
 */
import { type ByteString, byteString, layerError } from './bytes.ts';

/** Size of a header and of a unit of data, in bytes. */
export const BLOCK_BYTES = 512;

/** The fields of a header, before any extended header is applied. */
export interface TarHeader {
  path: ByteString;
  /** typeflag as one character; v7's NUL is '0'. */
  type: string;
  linkPath: ByteString;
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of data that follow. */
  size: number;
  mtimeSeconds: number;
  deviceMajor: number;
  deviceMinor: number;
}

/** Parses a block; undefined for a block of zeros, which ends an archive. Throws IMAGE_LAYER. */
export function parseHeader(block: Buffer): TarHeader | undefined {
  if (!checksumMatches(block)) {
    if (block.every((byte) => byte === 0)) return undefined;
    throw layerError('it is not a tar archive, or a damaged one (a header’s checksum is wrong)');
  }
  const ustar = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = ustar ? text(block, 345, 155) : '';
  const name = text(block, 0, 100);
  // v7 has no type for directories: a slash at the end is their mark
  const v7 = name.endsWith('/') ? '5' : '0';
  return {
    path: (prefix === '' ? name : `${prefix}/${name}`) as ByteString,
    type: block[156] === 0 ? v7 : String.fromCharCode(block[156] ?? 0),
    linkPath: text(block, 157, 100),
    mode: number(block, 100, 8),
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    size: positive(number(block, 124, 12), 'size'),
    mtimeSeconds: number(block, 136, 12),
    deviceMajor: number(block, 329, 8),
    deviceMinor: number(block, 337, 8),
  };
}

/** The sum of all bytes with the checksum field as spaces; old writers summed signed bytes. */
function checksumMatches(block: Buffer): boolean {
  let unsigned = 8 * 32;
  let signed = 8 * 32;
  for (let at = 0; at < BLOCK_BYTES; at += 1) {
    if (at >= 148 && at < 156) continue;
    const byte = block[at] ?? 0;
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  const stored = Number.parseInt(text(block, 148, 8).trim(), 8);
  return stored === unsigned || stored === signed;
}

function text(block: Buffer, offset: number, length: number): ByteString {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return byteString(end < 0 ? field : field.subarray(0, end));
}

/** Octal text, or two's complement big-endian when the first bit is set. Empty is 0. */
function number(block: Buffer, offset: number, length: number): number {
  const first = block[offset] ?? 0;
  if ((first & 0x80) === 0) return octal(text(block, offset, length));
  const negative = (first & 0x40) !== 0;
  let value = BigInt(first & 0x3f) - (negative ? 0x40n : 0n);
  for (let at = offset + 1; at < offset + length; at += 1) value = value * 256n + BigInt(block[at] ?? 0);
  const result = Number(value);
  if (!Number.isSafeInteger(result)) throw layerError('a number in a header is beyond any use');
  return result;
}

function octal(field: string): number {
  const digits = field.trim();
  if (digits === '') return 0;
  if (!/^[0-7]+$/.test(digits)) throw layerError('a number in a header is not octal');
  return Number.parseInt(digits, 8);
}

function positive(value: number, field: string): number {
  if (value < 0) throw layerError(`a header’s ${field} is negative`);
  return value;
}
