/**
 * Small documents kept by their digest: configs and manifests of the images
 * on this node, as files blobs/sha256/HEX. A file appears by rename, so it is
 * whole or absent; its bytes were compared with the digest before. Layers
 * are not kept here: they exist unpacked only.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from '../errors/index.ts';
import { type Digest, isDigest } from '../ids/index.ts';

/** Begins the names of blobs that are being written. */
const STAGING_PREFIX = 'tmp-';

export class BlobStore {
  readonly #dir: string;

  /** `dir` is the store's own directory; what an earlier process left half-written there is removed. */
  constructor(dir: string) {
    this.#dir = join(dir, 'blobs', 'sha256');
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#dir)) {
      if (name.startsWith(STAGING_PREFIX)) rmSync(join(this.#dir, name), { recursive: true, force: true });
    }
  }

  /** Keeps `bytes`, whose digest the caller has verified. Idempotent. Rejects with DISK_FULL or READ_ONLY_FILE_SYSTEM. */
  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    const part = join(this.#dir, `${STAGING_PREFIX}${crypto.randomUUID()}`);
    try {
      await writeFile(part, bytes, { mode: 0o600, flush: true });
      await rename(part, this.#pathOf(digest));
    } catch (error) {
      await rm(part, { force: true });
      throw diskError(error, `writing ${this.#dir}`);
    }
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
