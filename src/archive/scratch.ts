/** Files that live as long as a piece of work does, in a directory that is empty when the daemon starts. */
import { randomUUID } from 'node:crypto';
import { createReadStream, mkdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Spooled, type SpoolOptions, spool } from './spool.ts';

/** A file, to be read as often as needed; disposing of it deletes it. */
export interface ScratchFile extends AsyncDisposable {
  readonly path: string;
  stream(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** What was spooled. */
export interface SpooledFile extends Spooled, ScratchFile {}

/** Read at once, in bytes. */
const READ_BYTES = 256 * 1024;

export class Scratch {
  readonly #dir: string;

  /** `dir` is the owner's alone; what an earlier process left there is deleted. */
  constructor(dir: string) {
    this.#dir = dir;
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  }

  /** Spools into a new file. Rejects as spool() does. */
  async spool(options: Omit<SpoolOptions, 'path'>): Promise<SpooledFile> {
    const file = this.reserve();
    return { ...(await spool({ ...options, path: file.path })), ...file };
  }

  /** A name for a file that somebody else writes. */
  reserve(): ScratchFile {
    const path = join(this.#dir, randomUUID());
    return {
      path,
      stream: (signal) => createReadStream(path, { highWaterMark: READ_BYTES, signal }),
      [Symbol.asyncDispose]: () => rm(path, { force: true }),
    };
  }
}
