/**
 * The root file system of a container: an overlay of an image's layers under
 * a writable layer of its own. Mounting is idempotent, so a creation that was
 * cut short is repeated with the same call; to undo it, unmount and discard
 * the directory.
 */
import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RuntimeError } from '../errors/index.ts';
import { mountOverlay } from '../sys/index.ts';
import type { Usage } from './tasks.ts';
import { runTask } from './workers.ts';

/** What to mount. */
export interface RootfsOptions {
  /** Absolute layer directories, topmost first (ImageService.hold). */
  lowers: readonly string[];
  /** The container's own directory; gets `upper` and `work`. */
  dir: string;
  /** Where to mount; made when absent. */
  target: string;
}

/** Where the writable layer of a container's directory is. */
export const upperDir = (dir: string): string => join(dir, 'upper');
const workDir = (dir: string): string => join(dir, 'work');

/** Mounts the root file system unless it is mounted already. Under 1 ms. Throws MOUNT_FAILED, or what the disk says. */
export function mountRootfs(options: RootfsOptions): void {
  const top = options.lowers[0];
  if (top === undefined)
    throw new RuntimeError('internal', 'MOUNT_FAILED', `mounting a root file system on ${options.target}: no layers were given`);
  mkdirSync(options.target, { recursive: true });
  if (isMountpoint(options.target)) return;
  const [upper, work] = [upperDir(options.dir), workDir(options.dir)];
  if (statSync(upper, { throwIfNoEntry: false }) === undefined) {
    mkdirSync(upper, { recursive: true });
    // The upper directory is the root that the container sees: it must look like the image's.
    const root = statSync(top);
    chownSync(upper, root.uid, root.gid);
    chmodSync(upper, root.mode & 0o7777);
  }
  mkdirSync(work, { recursive: true });
  mountOverlay({ lowers: options.lowers, upper, work, target: options.target });
}

/** Bytes and inodes of the tree `dir` on disk, counted on another thread; zero when absent. */
export function usage(dir: string): Promise<Usage> {
  return runTask({ kind: 'usage', dir });
}

/** A mount has a device number of its own. */
function isMountpoint(path: string): boolean {
  return statSync(path).dev !== statSync(dirname(path)).dev;
}
