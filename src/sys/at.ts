/**
 * File operations relative to an open directory, for trees whose names come
 * from strangers: nothing here follows a symlink in the last component, and
 * `openInRoot` resolves the ones before it inside the root only (openat2).
 * Invariant: names are bytes, one character (0..255) for each, because a
 * name that is not UTF-8 must reach the kernel as it is. Every function
 * throws SysError.
 */
import { constants } from 'node:fs';
import { check, errnoNumber, lastErrno, libcFunction } from './libc.ts';

/** open(2) flags that Node does not name. */
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
/** openat2(2): its number is the same on every architecture; flags from <linux/openat2.h>. */
const SYS_OPENAT2 = 437;
const RESOLVE_NO_XDEV = 0x01;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_IN_ROOT = 0x10;
const OPEN_HOW_BYTES = 24;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
/** statx(2): struct size, and where stx_mode is in it. */
const STATX_BYTES = 256;
const STX_MODE_OFFSET = 28;
const STATX_TYPE = 0x1;

const openat2Call = libcFunction('long syscall(long number, int dirfd, const void *path, const void *how, size_t size)');
const openatCall = libcFunction('int openat(int dirfd, const void *path, int flags, uint mode)');
const mkdiratCall = libcFunction('int mkdirat(int dirfd, const void *path, uint mode)');
const symlinkatCall = libcFunction('int symlinkat(const void *target, int dirfd, const void *path)');
const linkatCall = libcFunction('int linkat(int olddirfd, const void *oldpath, int newdirfd, const void *newpath, int flags)');
const mknodatCall = libcFunction('int mknodat(int dirfd, const void *path, uint mode, uint64_t dev)');
const unlinkatCall = libcFunction('int unlinkat(int dirfd, const void *path, int flags)');
const fchownatCall = libcFunction('int fchownat(int dirfd, const void *path, uint uid, uint gid, int flags)');
const fchmodatCall = libcFunction('int fchmodat(int dirfd, const void *path, uint mode, int flags)');
const utimensatCall = libcFunction('int utimensat(int dirfd, const void *path, const void *times, int flags)');
const statxCall = libcFunction('int statx(int dirfd, const void *path, int flags, uint mask, void *buffer)');
const lgetxattrCall = libcFunction('long lgetxattr(const void *path, const char *name, void *value, size_t size)');
const llistxattrCall = libcFunction('long llistxattr(const void *path, void *list, size_t size)');
const lsetxattrCall = libcFunction('int lsetxattr(const void *path, const char *name, const void *value, size_t size, int flags)');

/** PATH_MAX with room for the prefix of a descriptor's path; longer names are refused by the kernel anyway. */
const PATH_BYTES = 8192;
const firstPath = Buffer.alloc(PATH_BYTES);
const secondPath = Buffer.alloc(PATH_BYTES);
const how = Buffer.alloc(OPEN_HOW_BYTES);
const times = Buffer.alloc(32);
const statBuffer = Buffer.alloc(STATX_BYTES);

/** The bytes of `path` with a NUL behind, in a buffer that the next call reuses. */
function cPath(path: string, into = firstPath): Buffer {
  const length = into.write(path, 0, PATH_BYTES - 1, 'latin1');
  into[length] = 0;
  return into;
}

/** Opens the directory `path` (text, trusted) as a root for the calls below. */
export function openRoot(path: string): number {
  const bytes = Buffer.from(path).toString('latin1');
  return check(openatCall(AT_FDCWD, cPath(bytes), O_PATH | constants.O_DIRECTORY | O_CLOEXEC, 0), 'openat', path);
}

/** Opens the directory `path` below `rootFd` as if that were `/`: symlinks and `..` cannot leave it, mounts are not crossed. */
export function openDirectoryInRoot(rootFd: number, path: string): number {
  how.writeBigUInt64LE(BigInt(O_PATH | constants.O_DIRECTORY | O_CLOEXEC), 0);
  how.writeBigUInt64LE(0n, 8);
  how.writeBigUInt64LE(BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV), 16);
  return check(openat2Call(SYS_OPENAT2, rootFd, cPath(path === '' ? '.' : path), how, OPEN_HOW_BYTES), 'openat2');
}

/** Creates the file `name` for writing; EEXIST when anything has that name. */
export function createFileAt(dirFd: number, name: string): number {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | O_CLOEXEC;
  return check(openatCall(dirFd, cPath(name), flags, 0o600), 'openat');
}

/** Opens the file `name` for reading; never waits, and never follows a symlink (ELOOP). */
export function openFileAt(dirFd: number, name: string): number {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | constants.O_NOFOLLOW | O_CLOEXEC;
  return check(openatCall(dirFd, cPath(name), flags, 0), 'openat');
}

/** Makes a directory, 0700 until it is chmodded. */
export function mkdirAt(dirFd: number, name: string): void {
  check(mkdiratCall(dirFd, cPath(name), 0o700), 'mkdirat');
}

export function symlinkAt(target: string, dirFd: number, name: string): void {
  check(symlinkatCall(cPath(target), dirFd, cPath(name, secondPath)), 'symlinkat');
}

/** A hard link to a name itself, never to what a symlink of that name points at. */
export function linkAt(from: { dirFd: number; name: string }, dirFd: number, name: string): void {
  check(linkatCall(from.dirFd, cPath(from.name), dirFd, cPath(name, secondPath), 0), 'linkat');
}

/** Makes a device, FIFO or whiteout; `mode` has the type bits. */
export function mknodAt(dirFd: number, name: string, node: { mode: number; major: number; minor: number }): void {
  check(mknodatCall(dirFd, cPath(name), node.mode, makedev(node.major, node.minor)), 'mknodat');
}

/** gnu_dev_makedev(3). */
function makedev(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn);
}

/** Removes a file, or with `directory` an empty directory. */
export function unlinkAt(dirFd: number, name: string, directory = false): void {
  check(unlinkatCall(dirFd, cPath(name), directory ? AT_REMOVEDIR : 0), 'unlinkat');
}

export function chownAt(dirFd: number, name: string, owner: { uid: number; gid: number }): void {
  check(fchownatCall(dirFd, cPath(name), owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW), 'fchownat');
}

/** Follows a symlink (Linux has no other way before 6.6): only for a name known to be none. */
export function chmodAt(dirFd: number, name: string, mode: number): void {
  check(fchmodatCall(dirFd, cPath(name), mode, 0), 'fchmodat');
}

/** Sets both times; of a symlink its own. */
export function utimesAt(dirFd: number, name: string, time: { seconds: bigint; nanoseconds: number }): void {
  for (const offset of [0, 16]) {
    times.writeBigInt64LE(time.seconds, offset);
    times.writeBigInt64LE(BigInt(time.nanoseconds), offset + 8);
  }
  check(utimensatCall(dirFd, cPath(name), times, AT_SYMLINK_NOFOLLOW), 'utimensat');
}

/** The type bits (S_IFMT) of what has that name itself. */
export function typeAt(dirFd: number, name: string): number {
  check(statxCall(dirFd, cPath(name), AT_SYMLINK_NOFOLLOW, STATX_TYPE, statBuffer), 'statx');
  return statBuffer.readUInt16LE(STX_MODE_OFFSET) & constants.S_IFMT;
}

/** Sets an extended attribute of the name itself. Goes by our own descriptor's path: setxattrat(2) is newer than Debian 12. */
export function setXattrAt(dirFd: number, name: string, attribute: { name: string; value: Uint8Array }): void {
  const path = cPath(`/proc/self/fd/${dirFd}/${name}`);
  check(lsetxattrCall(path, attribute.name, attribute.value, attribute.value.length, 0), 'lsetxattr', attribute.name);
}

/** The value of an extended attribute of the file at `path` (bytes) itself; undefined when it has none. Throws SysError, EOPNOTSUPP among them. */
export function getXattr(path: string, name: string): Buffer | undefined {
  const size = lgetxattrCall(cPath(path), name, null, 0);
  if (size < 0 && lastErrno() === errnoNumber('ENODATA')) return undefined;
  const value = Buffer.alloc(check(size, 'lgetxattr', name));
  return value.subarray(0, check(lgetxattrCall(cPath(path), name, value, value.length), 'lgetxattr', name));
}

/** Names of the extended attributes of the file at `path` (bytes) itself. Throws SysError. */
export function listXattrs(path: string): string[] {
  const size = llistxattrCall(cPath(path), null, 0);
  if (size < 0 && lastErrno() === errnoNumber('EOPNOTSUPP')) return [];
  const names = Buffer.alloc(check(size, 'llistxattr'));
  const length = check(llistxattrCall(cPath(path), names, names.length), 'llistxattr');
  return names
    .toString('latin1', 0, length)
    .split('\0')
    .filter((name) => name !== '');
}

/** True when the file at `path` (bytes) itself has the extended attribute; false also when it is absent. */
export function hasXattr(path: string, name: string): boolean {
  return lgetxattrCall(cPath(path), name, null, 0) >= 0;
}
