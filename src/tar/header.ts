/**
 * One 512-byte tar header, from bytes to fields: v7, ustar, star, GNU and
 * PAX archives share it. Pure. The checksum must be right. Source: POSIX
 * pax(1) "ustar Interchange Format", GNU tar manual "Basic Tar Format",
 * star(5).
 */
import { type ByteString, layerError } from './bytes.ts';
import { BLOCK_BYTES, fieldNumber, fieldText, octal } from './fields.ts';

/** The fields of a header, before any extended header is applied. */
export interface TarHeader {
  path: ByteString;
  /** typeflag as one character; v7's is NUL. */
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

/** The checksum's own field, which counts as spaces. */
const SUM = { at: 148, bytes: 8 };
/** star keeps times behind a shorter prefix, and its name in the last four bytes. */
const PREFIX_BYTES = 155;
const STAR_PREFIX_BYTES = 131;

/** Parses a block; undefined for a block of zeros, which ends an archive. Throws IMAGE_LAYER. */
export function parseHeader(block: Buffer): TarHeader | undefined {
  if (!checksumMatches(block)) {
    if (isZero(block)) return undefined;
    throw layerError('it is not a tar archive, or a damaged one (a header’s checksum is wrong)');
  }
  const type = String.fromCharCode(block[156] ?? 0);
  const hasDevice = (type === '3' || type === '4') && block.toString('latin1', 257, 262) === 'ustar';
  return {
    path: pathOf(block),
    type,
    linkPath: fieldText(block, 157, 100),
    mode: fieldNumber(block, 100, 8),
    uid: fieldNumber(block, 108, 8),
    gid: fieldNumber(block, 116, 8),
    size: positive(fieldNumber(block, 124, 12), 'size'),
    mtimeSeconds: fieldNumber(block, 136, 12),
    deviceMajor: hasDevice ? positive(fieldNumber(block, 329, 8), 'device number') : 0,
    deviceMinor: hasDevice ? positive(fieldNumber(block, 337, 8), 'device number') : 0,
  };
}

/** True for a block of zeros only. */
export const isZero = (block: Buffer): boolean => block.every((byte) => byte === 0);

/** GNU's own magic is `ustar` with spaces behind, and has no prefix. */
function pathOf(block: Buffer): ByteString {
  const name = fieldText(block, 0, 100);
  if (block[345] === 0 || block.toString('latin1', 257, 263) !== 'ustar\0') return name;
  const star = block.toString('latin1', BLOCK_BYTES - 4, BLOCK_BYTES) === 'tar\0';
  return `${fieldText(block, 345, star ? STAR_PREFIX_BYTES : PREFIX_BYTES)}/${name}` as ByteString;
}

/** The sum of all bytes with the checksum field as spaces; old writers summed signed bytes. */
function checksumMatches(block: Buffer): boolean {
  const stored = octal(block, SUM.at, SUM.bytes);
  let sum = SUM.bytes * 0x20;
  for (let at = 0; at < SUM.at; at += 1) sum += block[at] ?? 0;
  for (let at = SUM.at + SUM.bytes; at < BLOCK_BYTES; at += 1) sum += block[at] ?? 0;
  if (stored === sum) return true;
  const high = block.reduce((count, byte, at) => count + (isSum(at) ? 0 : byte >> 7), 0);
  return stored === sum - 256 * high;
}

const isSum = (at: number): boolean => at >= SUM.at && at < SUM.at + SUM.bytes;

function positive(value: number, field: string): number {
  if (value < 0) throw layerError(`a header’s ${field} is negative`);
  return value;
}
