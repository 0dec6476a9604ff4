/**
 * A layer's compressed bytes to its tar. What it is compressed with is seen
 * from its first bytes, not from the media type, which images get wrong.
 * Several gzip members and zstd frames in a row are one stream, zeros behind
 * the last are padding, anything else there is refused, and so is a stream
 * that ends early. What comes out is checked against the diffID by the caller.
 */
import { layerError } from '../tar/index.ts';
import { createDecoder, type Decoder } from './decoder.ts';

/** Enough to tell formats apart. */
const HEAD_BYTES = 6;
/** RFC 1952, RFC 8878 (a frame, and the sixteen kinds of skippable ones). */
const GZIP_MAGIC = 0x1f8b;
const ZSTD_MAGIC = 0xfd2fb528;
const ZSTD_SKIPPABLE_MAGIC = 0x184d2a50;
/** What is not for layers (image-spec layer.md), by its first bytes. */
const REFUSED: Readonly<Record<string, readonly number[]>> = {
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
  bzip2: [0x42, 0x5a, 0x68],
  lz4: [0x04, 0x22, 0x4d, 0x18],
  lzip: [0x4c, 0x5a, 0x49, 0x50],
  'compress (.Z)': [0x1f, 0x9d],
  zip: [0x50, 0x4b, 0x03, 0x04],
};

/**
 * Yields the tar's bytes, each chunk valid until the next is asked for, as
 * those of `source` need to be. Errors of `source` pass through; broken or
 * unknown compression is IMAGE_LAYER.
 */
export function* inflate(source: Iterable<Buffer>): Generator<Buffer> {
  const iterator = source[Symbol.iterator]();
  try {
    let head = Buffer.alloc(0);
    while (head.length < HEAD_BYTES) {
      const next = iterator.next();
      if (next.done === true) break;
      head = Buffer.concat([head, next.value]);
    }
    const whole = prepended(head, iterator);
    const format = formatOf(head);
    if (format === 'none') yield* whole;
    else yield* decoded(whole, format);
  } finally {
    iterator.return?.();
  }
}

function formatOf(head: Buffer): 'none' | 'gzip' | 'zstd' {
  for (const [name, magic] of Object.entries(REFUSED)) {
    if (magic.every((byte, at) => head[at] === byte))
      throw layerError(`it is compressed with ${name}, which images do not use; build it with gzip or zstd`);
  }
  if (head.length < 4) return 'none';
  if (head.readUInt16BE(0) === GZIP_MAGIC) return 'gzip';
  const magic = head.readUInt32LE(0);
  return magic === ZSTD_MAGIC || (magic & 0xfffffff0) >>> 0 === ZSTD_SKIPPABLE_MAGIC ? 'zstd' : 'none';
}

function* prepended(head: Buffer, rest: Iterator<Buffer>): Generator<Buffer> {
  if (head.length > 0) yield head;
  for (let next = rest.next(); next.done !== true; next = rest.next()) yield next.value;
}

function* decoded(source: Iterable<Buffer>, format: 'gzip' | 'zstd'): Generator<Buffer> {
  using decoder: Decoder = createDecoder(format);
  for (const chunk of source) {
    let rest = chunk;
    if (!decoder.ended) {
      yield* decoder.decode(chunk);
      rest = chunk.subarray(chunk.length - decoder.unread);
    }
    if (rest.some((byte) => byte !== 0))
      throw layerError('something that is neither padding nor compressed data follows its compressed data');
  }
  yield* decoder.finish();
}
