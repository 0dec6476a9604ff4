/**
 * Small documents kept by their digest: configs and manifests of the images
 * on this node, as files blobs/sha256/HEX. A file appears by rename, so it is
 * whole or absent; its bytes were compared with the digest before. Layers
 * are not kept here: they exist unpacked only.
 */
import { createReadStream, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError, errnoOf } from '../errors/index.ts';
import { type Digest, isDigest } from '../ids/index.ts';

/** Read at once of a streamed blob, in bytes. */
const STREAM_BYTES = 256 * 1024;

export class BlobStore {
  readonly #dir: string;
  readonly #parts: string;

  /** `dir` is the store's own directory; what an earlier process left half-written there is removed. */
  constructor(dir: string) {
    this.#dir = join(dir, 'blobs', 'sha256');
    this.#parts = join(dir, 'parts');
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    rmSync(this.#parts, { recursive: true, force: true });
    mkdirSync(this.#parts, { recursive: true, mode: 0o700 });
  }

  /** A path for a download in progress, `name` being unique among them. */
  partPath(name: string): string {
    return join(this.#parts, `${name}.part`);
  }

  /** Keeps `bytes`, whose digest the caller has verified. Idempotent. Rejects with DISK_FULL or READ_ONLY_FILE_SYSTEM. */
  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    const part = this.partPath(`blob-${crypto.randomUUID()}`);
    try {
      await writeFile(part, bytes, { mode: 0o600, flush: true });
      await rename(part, this.#pathOf(digest));
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

  /** Bytes of a blob; undefined when it is not there. */
  async size(digest: Digest): Promise<number | undefined> {
    try {
      return (await stat(this.#pathOf(digest))).size;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** A blob in pieces; its digest is not looked at again. */
  stream(digest: Digest, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return createReadStream(this.#pathOf(digest), { highWaterMark: STREAM_BYTES, signal });
  }

  /** Removes a blob; absent is success. */
  async remove(digest: Digest): Promise<void> {
    await rm(this.#pathOf(digest), { force: true });
  }

  /** Removes every blob that is not `wanted`. */
  retain(wanted: ReadonlySet<Digest>): void {
    for (const name of readdirSync(this.#dir)) {
      const digest = `sha256:${name}`;
      if (!isDigest(digest) || !wanted.has(digest)) rmSync(join(this.#dir, name), { recursive: true, force: true });
    }
  }

  #pathOf(digest: Digest): string {
    return join(this.#dir, digest.slice('sha256:'.length));
  }
}
