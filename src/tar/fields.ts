/**
 * The fields of a tar block: text up to a NUL, numbers in octal or, where
 * the first bit is set, in base 256 (GNU). Pure. Spaces and NULs around
 * octal digits are padding, as every writer has its own habit; anything else
 * beside them is refused, since readers would differ about it.
 */
import { type ByteString, layerError } from './bytes.ts';

/** Size of a header and of a unit of data, in bytes. */
export const BLOCK_BYTES = 512;

const NUL = 0;
const SPACE = 0x20;
const ZERO = 0x30;
const SEVEN = 0x37;

/** The bytes from `offset` to a NUL, at most `length`. */
export function fieldText(block: Buffer, offset: number, length: number): ByteString {
  let end = offset;
  while (end < offset + length && block[end] !== NUL) end += 1;
  return block.toString('latin1', offset, end) as ByteString;
}

/** The number in a field; empty is 0. Throws IMAGE_LAYER. */
export function fieldNumber(block: Buffer, offset: number, length: number): number {
  if (((block[offset] ?? 0) & 0x80) !== 0) return base256(block, offset, length);
  const value = octal(block, offset, length);
  if (!Number.isSafeInteger(value)) throw layerError('a number in a header is not octal, or beyond any use');
  return value;
}

/** The octal number in a field, NaN when it holds anything else; empty is 0. */
export function octal(block: Buffer, offset: number, length: number): number {
  const end = offset + length;
  let at = offset;
  while (at < end && (block[at] === SPACE || block[at] === NUL)) at += 1;
  let value = 0;
  for (; at < end; at += 1) {
    const byte = block[at] ?? 0;
    if (byte < ZERO || byte > SEVEN) break;
    value = value * 8 + (byte - ZERO);
  }
  while (at < end && block[at] === SPACE) at += 1;
  return at === end || block[at] === NUL ? value : Number.NaN;
}

/** Two's complement, big-endian, without the first bit, which is the mark. */
function base256(block: Buffer, offset: number, length: number): number {
  const first = block[offset] ?? 0;
  let value = (first & 0x3f) - (first & 0x40);
  for (let at = offset + 1; at < offset + length; at += 1) value = value * 256 + (block[at] ?? 0);
  if (!Number.isSafeInteger(value)) throw layerError('a number in a header is beyond any use');
  return value;
}
