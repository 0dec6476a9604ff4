/** Is there room for images and containers? */
import { statfs } from 'node:fs/promises';
import { formatBytes } from '../units.ts';
import { type Check, type CheckGroup, type DoctorContext, fail, ok, warn } from './check.ts';
import { nearestDirectory } from './overlay.ts';

/** Below this not even small images fit. */
const FAIL_FREE_BYTES = 200 * 2 ** 20;
/** kubelet begins to evict pods below this part (imagefs.available). */
const WARN_FREE_PART = 0.15;
/** kubelet begins to evict pods below this part (nodefs.inodesFree). */
const WARN_FREE_INODES_PART = 0.05;

export const diskChecks: CheckGroup = {
  name: 'disk',
  async run({ config }: DoctorContext): Promise<Check[]> {
    const dir = nearestDirectory(config.root);
    const { bavail, blocks, bsize, ffree, files } = await statfs(dir);
    return [spaceCheck({ dir, freeBytes: bavail * bsize, totalBytes: blocks * bsize }), inodesCheck({ dir, free: ffree, total: files })];
  },
};

/** Judges free bytes. */
export function spaceCheck({ dir, freeBytes, totalBytes }: { dir: string; freeBytes: number; totalBytes: number }): Check {
  const message = `${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} are free at ${dir}`;
  const advice = 'free space, remove images (berth rmi) or move root to a larger disk';
  if (freeBytes < FAIL_FREE_BYTES) return fail('disk.space', message, advice);
  if (freeBytes < totalBytes * WARN_FREE_PART) return warn('disk.space', `${message}: kubelet evicts pods below 15 %`, advice);
  return ok('disk.space', message);
}

/** Judges free inodes; file systems that make them as needed report none. */
export function inodesCheck({ dir, free, total }: { dir: string; free: number; total: number }): Check {
  if (total === 0) return ok('disk.inodes', `${dir} has as many inodes as it needs`);
  const message = `${free} of ${total} inodes are free at ${dir}`;
  if (free < total * WARN_FREE_INODES_PART)
    return warn('disk.inodes', `${message}: kubelet evicts pods below 5 %`, 'remove images (berth rmi) or small files');
  return ok('disk.inodes', message);
}
