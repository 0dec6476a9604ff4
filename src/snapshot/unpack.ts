/**
 * Unpacking one layer as the main thread sees it: hand the growing file to a
 * worker, get back what it held. Errors come back in the daemon's words; the
 * staging directory's own random name never shows in them.
 */
import { dirname } from 'node:path';
import { diskError } from '../errors/index.ts';
import type { TailProgress } from './tail.ts';
import type { PlacedFile, UnpackResult } from './tasks.ts';
import { runTask } from './workers.ts';

/** What to unpack where. */
export interface UnpackOptions {
  /** The blob's file, which may still grow. */
  part: string;
  progress: TailProgress;
  /** An empty directory of ours. */
  dir: string;
  /** Place the blob as one file rather than unpack it. */
  file?: PlacedFile;
  signal: AbortSignal;
}

/**
 * Unpacks; resolves when all was read. The caller compares the diffID. To end
 * it early, abandon the progress; `signal` only leaves the queue for a thread.
 * Rejects with IMAGE_LAYER, DISK_FULL or READ_ONLY_FILE_SYSTEM.
 */
export async function unpackLayer(options: UnpackOptions): Promise<UnpackResult> {
  try {
    const { part, progress, dir, file, signal } = options;
    return await runTask({ kind: 'unpack', part, progress: progress.buffer, dir, ...(file === undefined ? {} : { file }) }, signal);
  } catch (error) {
    throw diskError(error, `unpacking a layer into ${dirname(options.dir)}`);
  }
}
