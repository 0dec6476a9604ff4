// A freshly made ext4 for one run: a sparse file, mounted by a loop device. What a file system has been through shows
// in its speed (ext4 remembers deleted inodes for a while, allocates around old extents), so no run may inherit one,
// and nothing is ever deleted file by file. The file loses its name as soon as it is mounted: whatever happens, its
// space is freed with the mount. Invariant: the file cannot outgrow what `requireRoom` has checked.
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, rmdirSync, rmSync, statfsSync } from 'node:fs';
import { eventually } from '../background.ts';

const GIB = 1024 ** 3;
/** Holds the largest image twice: compressed and unpacked, with a journal beside. */
const DISK_BYTES = 2 * GIB;
/** What else is written meanwhile: the registry's blobs and the logs. */
const MARGIN_BYTES = GIB;
const UNMOUNT_DEADLINE_MS = 10_000;

/** A mounted file system; `end` unmounts it, after which nothing of it is left. */
export interface FreshDisk {
  readonly dir: string;
  end(): Promise<void>;
}

/** Throws, with the numbers, when the file system of `dir` has no room for a disk. */
export function requireRoom(dir: string): void {
  const { bavail, bsize } = statfsSync(dir);
  const [free, needed] = [bavail * bsize, DISK_BYTES + MARGIN_BYTES];
  if (free >= needed) return;
  const gib = (bytes: number): string => `${(bytes / GIB).toFixed(1)} GiB`;
  throw new Error(
    `pulls are measured on a fresh file system of ${gib(DISK_BYTES)} in a file under ${dir}, where ${gib(needed)} should be free and ${gib(free)} are: free some, or set TMPDIR to a directory with more`,
  );
}

/** Makes a file system and mounts it at `dir`, which must not exist. */
export function mountFreshDisk(dir: string): FreshDisk {
  const file = `${dir}.ext4`;
  mkdirSync(dir);
  try {
    const fd = openSync(file, 'wx', 0o600);
    ftruncateSync(fd, DISK_BYTES);
    closeSync(fd);
    // Inode tables and journal are holes of a sparse file, zeros already: neither mkfs nor the kernel need write them.
    run('mkfs.ext4', '-F', '-q', '-m', '0', '-E', 'lazy_itable_init=1,lazy_journal_init=1,nodiscard', file);
    run('mount', '-o', 'loop,noinit_itable', file, dir);
  } catch (error) {
    rmdirSync(dir);
    throw error;
  } finally {
    rmSync(file, { force: true });
  }
  return { dir, end: () => unmount(dir) };
}

async function unmount(dir: string): Promise<void> {
  // Without barriers the last writes stay in the page cache, where they vanish with the file.
  spawnSync('mount', ['-o', 'remount,nobarrier', dir]);
  let said = '';
  const gone = await eventually(() => {
    const tried = spawnSync('umount', [dir], { encoding: 'utf8' });
    said = tried.stderr;
    return tried.status === 0;
  }, UNMOUNT_DEADLINE_MS);
  if (!gone) {
    spawnSync('umount', ['--lazy', dir]);
    throw new Error(`${dir} stayed busy for ${UNMOUNT_DEADLINE_MS / 1000} s and was detached: ${said.trim()}`);
  }
  rmdirSync(dir);
}

function run(program: string, ...args: string[]): void {
  const ran = spawnSync(program, args, { encoding: 'utf8' });
  if (ran.error !== undefined) throw ran.error;
  if (ran.status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${ran.status ?? ran.signal}: ${ran.stderr.trim()}`);
}
