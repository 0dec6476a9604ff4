/**
 * Mounts: bind, tmpfs, propagation, removal, and what is mounted where. All
 * calls are synchronous and act on this process's mount namespace; none
 * follows a file system that hangs further than its mount point. Unmounting
 * what is not mounted is success, so clean-up can always run again.
 */
import { readFileSync } from 'node:fs';
import { RuntimeError } from '../errors/index.ts';
import { errnoName, lastErrno, libcFunction, SysError } from './libc.ts';
import { parseMountinfo } from './mountinfo.ts';

// mount(2), umount(2), mount_setattr(2)
const MS_NOSUID = 0x2;
const MS_NODEV = 0x4;
const MS_NOEXEC = 0x8;
const MS_BIND = 0x1000;
const MS_REC = 0x4000;
const MS_PRIVATE = 1 << 18;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const SYS_MOUNT_SETATTR = 442; // glibc before 2.36 has no wrapper; the number is the same on every architecture
const AT_FDCWD = -100;
const AT_RECURSIVE = 0x8000;
const MOUNT_ATTR_RDONLY = 1n;
/** struct mount_attr of its first version: attr_set, attr_clr, propagation, userns_fd. */
const MOUNT_ATTR_BYTES = 32;

const mountCall = libcFunction('int mount(const char *source, const char *target, const char *type, ulong flags, const char *data)');
const umount2 = libcFunction('int umount2(const char *target, int flags)');
const mountSetattr = libcFunction('long syscall(long number, int dirfd, const char *path, uint flags, void *attr, size_t size)');

/** Makes `source` appear at `target` too (both exist, both directories or both not). Throws MOUNT_FAILED. */
export function bindMount(source: string, target: string, options: { recursive?: boolean; readonly?: boolean } = {}): void {
  const recursive = options.recursive === true;
  must('mount', mountCall(source, target, null, MS_BIND | (recursive ? MS_REC : 0), null), `cannot bind-mount ${source} at ${target}`);
  if (options.readonly !== true) return;
  // mount_setattr only adds the flag; a remount would drop nosuid, nodev and the like of the source's mount.
  const attr = Buffer.alloc(MOUNT_ATTR_BYTES);
  attr.writeBigUInt64LE(MOUNT_ATTR_RDONLY, 0);
  const flags = recursive ? AT_RECURSIVE : 0;
  try {
    must(
      'mount_setattr',
      mountSetattr(SYS_MOUNT_SETATTR, AT_FDCWD, target, flags, attr, MOUNT_ATTR_BYTES),
      `cannot make ${target} read-only`,
    );
  } catch (error) {
    unmount(target, { detach: true });
    throw error;
  }
}

/** Mounts a tmpfs of at most `sizeBytes` at `target` (nosuid, nodev, noexec). Throws MOUNT_FAILED. */
export function mountTmpfs(target: string, options: { sizeBytes: number; mode: number }): void {
  const data = `size=${options.sizeBytes},mode=${options.mode.toString(8)}`;
  must('mount', mountCall('tmpfs', target, 'tmpfs', MS_NOSUID | MS_NODEV | MS_NOEXEC, data), `cannot mount a tmpfs (${data}) at ${target}`);
}

/**
 * Removes the topmost mount at `target`; with `detach` it leaves the tree at
 * once and ends when its last user does. Nothing mounted there, or no such
 * path, is success. Throws MOUNT_FAILED otherwise (EBUSY: still in use).
 */
export function unmount(target: string, options: { detach?: boolean } = {}): void {
  const result = umount2(target, UMOUNT_NOFOLLOW | (options.detach === true ? MNT_DETACH : 0));
  if (result === 0) return;
  const errno = lastErrno();
  const code = errnoName(errno);
  if (code !== 'EINVAL' && code !== 'ENOENT') throw failed('umount2', errno, `cannot unmount ${target}`);
}

/**
 * Makes mounts below directory `target` stay in this mount namespace, both
 * ways; `target` becomes a mount point for it when it is none. Idempotent.
 */
export function makePrivate(target: string): void {
  if (mountCall(null, target, null, MS_PRIVATE, null) === 0) return;
  const errno = lastErrno();
  if (errnoName(errno) !== 'EINVAL') throw failed('mount', errno, `cannot make the mount ${target} private`);
  bindMount(target, target); // EINVAL: not a mount point yet
  must('mount', mountCall(null, target, null, MS_PRIVATE, null), `cannot make the mount ${target} private`);
}

/** The mount points at and under `directory`, deepest first, the upper of two stacked ones first; ready to unmount in order. */
export function mountsUnder(directory: string): string[] {
  const prefix = directory.endsWith('/') ? directory : `${directory}/`;
  const isUnder = (target: string): boolean => target === directory || target.startsWith(prefix);
  const found = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')).map((entry) => entry.target);
  const depth = (path: string): number => path.split('/').length;
  return found
    .filter(isUnder)
    .reverse() // the sort is stable: of the same path, the later mount is on top
    .sort((a, b) => depth(b) - depth(a));
}

function must(syscall: string, result: number, attempt: string): void {
  if (result < 0) throw failed(syscall, lastErrno(), attempt);
}

function failed(syscall: string, errno: number, attempt: string): RuntimeError {
  const cause = new SysError(errno, syscall);
  const message = `${attempt}: ${cause.code}; look at dmesg and /proc/self/mountinfo`;
  return new RuntimeError('internal', 'MOUNT_FAILED', message, { cause, detail: { errno: cause.code } });
}
