/**
 * A layer's compressed bytes to its tar. What it is compressed with is seen
 * from its first bytes, not from the media type, which images get wrong.
 * Several gzip members and zstd frames in a row are one stream; a truncated
 * one is an error; padding behind the last is ignored. What comes out is
 * checked against the diffID by the caller.
 */
import { Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { errnoOf, messageOf } from '../errors/index.ts';
import { layerError } from '../tar/index.ts';

/** Output buffer, in bytes: fewer, larger chunks are measurably cheaper. */
const CHUNK_BYTES = 256 * 1024;
const GZIP_MAGIC = 0x1f8b;
/** RFC 8878: a frame's magic number, and the sixteen of skippable frames. */
const ZSTD_MAGIC = 0xfd2fb528;
const ZSTD_SKIPPABLE_MAGIC = 0x184d2a50;

/** Yields the tar's bytes. Errors of `source` pass through; broken compression is IMAGE_LAYER. */
export async function* inflate(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    let head = Buffer.alloc(0);
    while (head.length < 4) {
      const next = await iterator.next();
      if (next.done === true) break;
      head = Buffer.concat([head, next.value]);
    }
    const whole = prepended(head, iterator);
    const transform = decompressorOf(head);
    if (transform === undefined) yield* whole;
    else yield* through(whole, transform);
  } finally {
    await iterator.return?.();
  }
}

async function* prepended(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

function decompressorOf(head: Buffer): Transform | undefined {
  if (head.length < 4) return undefined;
  if (head.readUInt16BE(0) === GZIP_MAGIC) return createGunzip({ chunkSize: CHUNK_BYTES });
  const magic = head.readUInt32LE(0);
  const isZstd = magic === ZSTD_MAGIC || (magic & 0xfffffff0) >>> 0 === ZSTD_SKIPPABLE_MAGIC;
  return isZstd ? createZstdDecompress({ chunkSize: CHUNK_BYTES }) : undefined;
}

async function* through(source: AsyncIterable<Buffer>, transform: Transform): AsyncGenerator<Buffer> {
  let sourceError: unknown;
  const input = Readable.from(source, { objectMode: true, highWaterMark: 1 });
  input.once('error', (error) => {
    sourceError = error;
    transform.destroy(error);
  });
  input.pipe(transform);
  try {
    for await (const chunk of transform) yield chunk as Buffer;
  } catch (error) {
    if (sourceError !== undefined) throw sourceError;
    const code = errnoOf(error) ?? '';
    throw code.startsWith('Z_') || code.startsWith('ZSTD_') ? layerError(`its compression is broken (${messageOf(error)})`, error) : error;
  } finally {
    input.destroy();
    transform.destroy();
  }
}
