/**
 * Content kept by its digest: configs and manifests of the images
 * on this node, and the compressed blobs of layers where those are to be
 * kept, as files blobs/sha256/HEX. A file appears by rename, so it is whole or
 * absent; its bytes were compared with the digest before. What is here is
 * known in memory.
 */
import { createReadStream, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError, errnoOf } from '../errors/index.ts';
import { type Digest, isDigest } from '../ids/index.ts';

/** Begins the names of blobs that are being written. */
const STAGING_PREFIX = 'tmp-';
/** Read at once of a streamed blob, in bytes. */
const STREAM_BYTES = 256 * 1024;

export class BlobStore {
  readonly #dir: string;
  readonly #sizes = new Map<Digest, number>();
  #bytes = 0;

  /** `dir` is the store's own directory; what an earlier process left half-written there is removed. */
  constructor(dir: string) {
    this.#dir = join(dir, 'blobs', 'sha256');
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#dir)) {
      const digest = `sha256:${name}`;
      if (isDigest(digest)) this.#enter(digest, statSync(join(this.#dir, name)).size);
      else rmSync(join(this.#dir, name), { recursive: true, force: true });
    }
  }

  /** Keeps `bytes`, whose digest the caller has verified. Idempotent. Rejects with DISK_FULL or READ_ONLY_FILE_SYSTEM. */
  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    const part = join(this.#dir, `${STAGING_PREFIX}${crypto.randomUUID()}`);
    try {
      await writeFile(part, bytes, { mode: 0o600, flush: true });
      await rename(part, this.#pathOf(digest));
      this.#enter(digest, bytes.length);
    } catch (error) {
      await rm(part, { force: true });
      throw diskError(error, `writing ${this.#dir}`);
    }
  }

  /** A small blob, whole; undefined when it is not there. Its digest is not looked at again. */
  async read(digest: Digest): Promise<Buffer | undefined> {
    try {
      return await readFile(this.#pathOf(digest));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Takes over the file at `path`, on the same file system, whose digest and size the caller has verified. */
  async adopt(digest: Digest, path: string, size: number): Promise<void> {
    await rename(path, this.#pathOf(digest));
    this.#enter(digest, size);
  }

  /** Bytes of a blob; undefined when it is not there. */
  size(digest: Digest): number | undefined {
    return this.#sizes.get(digest);
  }

  /** Bytes and number of all blobs. */
  usage(): { bytes: bigint; files: bigint } {
    return { bytes: BigInt(this.#bytes), files: BigInt(this.#sizes.size) };
  }

  /** A blob in pieces; its digest is not looked at again. */
  stream(digest: Digest, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return createReadStream(this.#pathOf(digest), { highWaterMark: STREAM_BYTES, signal });
  }

  /** Removes a blob; absent is success. It is gone when this returns, so one put meanwhile stays; its space is free later. */
  async remove(digest: Digest): Promise<void> {
    if (!this.#sizes.has(digest)) return;
    this.#forget(digest);
    const doomed = join(this.#dir, `${STAGING_PREFIX}${crypto.randomUUID()}`);
    try {
      renameSync(this.#pathOf(digest), doomed);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error; // somebody else removed it
    }
    await rm(doomed, { force: true });
  }

  /** Removes every blob that is not `wanted`. */
  retain(wanted: ReadonlySet<Digest>): void {
    for (const digest of [...this.#sizes.keys()]) {
      if (wanted.has(digest)) continue;
      this.#forget(digest);
      rmSync(this.#pathOf(digest), { recursive: true, force: true });
    }
  }

  #enter(digest: Digest, size: number): void {
    this.#forget(digest);
    this.#sizes.set(digest, size);
    this.#bytes += size;
  }

  #forget(digest: Digest): void {
    this.#bytes -= this.#sizes.get(digest) ?? 0;
    this.#sizes.delete(digest);
  }

  #pathOf(digest: Digest): string {
    return join(this.#dir, digest.slice('sha256:'.length));
  }
}
