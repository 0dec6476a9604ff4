/**
 * Can root file systems be mounted where berth keeps them? The only proof is
 * an overlay with an upper layer on that very file system, read and written.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf } from '../../errors/index.ts';
import { mountOverlay, unmount } from '../../sys/index.ts';
import { type Check, type CheckGroup, type DoctorContext, fail, ok } from './check.ts';

export const overlayChecks: CheckGroup = {
  name: 'overlay',
  run({ config }: DoctorContext): Check[] {
    return [tryOverlay(nearestDirectory(config.root))];
  },
};

/** The directory itself, or the closest parent that exists. */
export function nearestDirectory(path: string): string {
  return existsSync(path) ? path : nearestDirectory(dirname(path));
}

/** Mounts, reads, writes and takes away an overlay below `parent`. */
function tryOverlay(parent: string): Check {
  let dir: string | undefined;
  try {
    dir = mkdtempSync(join(parent, '.berth-doctor-'));
    const [lower, upper, work, target] = ['lower', 'upper', 'work', 'target'].map((name) => join(dir ?? '', name)) as [
      string,
      string,
      string,
      string,
    ];
    for (const each of [lower, upper, work, target]) mkdirSync(each);
    writeFileSync(join(lower, 'probe'), 'lower');
    mountOverlay({ lowers: [lower], upper, work, target });
    try {
      if (readFileSync(join(target, 'probe'), 'utf8') !== 'lower') throw new Error('the lower layer does not show through');
      writeFileSync(join(target, 'probe'), 'upper');
      if (readFileSync(join(upper, 'probe'), 'utf8') !== 'upper') throw new Error('the upper layer does not take what is written');
    } finally {
      unmount(target);
    }
    return ok('overlay.mount', `an overlay below ${parent} can be mounted, read and written`);
  } catch (error) {
    return fail(
      'overlay.mount',
      `an overlay below ${parent} does not work: ${messageOf(error)}`,
      'run as root, load the overlay module, and keep root on ext4, xfs or btrfs (an overlay cannot be the upper of another)',
    );
  } finally {
    if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
  }
}
