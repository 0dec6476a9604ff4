/**
 * Bytes through a compressor or decompressor into a file of their own, whose
 * length and digest are then known: a compressed archive becomes one that can
 * be read from any offset, a layer one that can be announced before it is
 * sent. The (de)compressors run on libuv's threads. Invariant: when it fails
 * there is no file.
 */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip, createZstdDecompress } from 'node:zlib';
import { abortError } from '../async/index.ts';
import { diskError, errnoOf } from '../errors/index.ts';
import type { Digest } from '../ids/index.ts';

/** Output of a (de)compressor at once, in bytes. */
const CHUNK_BYTES = 256 * 1024;
/** gzip's own middle between speed and size. */
const GZIP_LEVEL = 6;

/** What is done to the bytes on their way. */
export type Through = 'gzip' | 'gunzip' | 'unzstd';

/** What to write where. */
export interface SpoolOptions {
  source: AsyncIterable<Uint8Array>;
  through: Through;
  /** A new file. */
  path: string;
  signal: AbortSignal;
}

/** What was written. */
export interface Spooled {
  size: number;
  digest: Digest;
}

/** Writes the file. Rejects with DISK_FULL, what `source` throws, or an error that brokenCompression() knows. */
export async function spool(options: SpoolOptions): Promise<Spooled> {
  const { source, through, path, signal } = options;
  const hash = createHash('sha256');
  const file = await open(path, 'wx', 0o600).catch((error: unknown) => {
    throw diskError(error, `writing ${dirname(path)}`);
  });
  try {
    const input = Readable.from(source, { objectMode: true, highWaterMark: 1 });
    const write = (chunks: AsyncIterable<Buffer>): Promise<number> => writeAll(chunks, { file, hash, path });
    let size = 0;
    await pipeline(
      input,
      transformOf(through),
      async (chunks: AsyncIterable<Buffer>) => {
        size = await write(chunks);
      },
      { signal },
    );
    return { size, digest: `sha256:${hash.digest('hex')}` as Digest }; // of that form by construction
  } catch (error) {
    await rm(path, { force: true });
    throw signal.aborted ? abortError(signal) : error;
  } finally {
    await file.close();
  }
}

/** The words of a decompressor that met broken data; undefined for any other error. */
export function brokenCompression(error: unknown): string | undefined {
  const code = errnoOf(error) ?? '';
  return error instanceof Error && (code.startsWith('Z_') || code.startsWith('ZSTD_')) ? error.message : undefined;
}

async function writeAll(chunks: AsyncIterable<Buffer>, to: { file: FileHandle; hash: Hash; path: string }): Promise<number> {
  let size = 0;
  for await (const chunk of chunks) {
    to.hash.update(chunk);
    try {
      for (let at = 0; at < chunk.length; ) at += (await to.file.write(chunk, at, chunk.length - at)).bytesWritten;
    } catch (error) {
      throw diskError(error, `writing ${dirname(to.path)}`);
    }
    size += chunk.length;
  }
  return size;
}

function transformOf(through: Through): Transform {
  if (through === 'gzip') return createGzip({ level: GZIP_LEVEL, chunkSize: CHUNK_BYTES });
  return through === 'gunzip' ? createGunzip({ chunkSize: CHUNK_BYTES }) : createZstdDecompress({ chunkSize: CHUNK_BYTES });
}
