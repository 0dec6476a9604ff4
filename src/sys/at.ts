/**
 * File operations relative to an open directory, for trees whose names come
 * from strangers: nothing here follows a symlink in the last component, and
 * `openDirectoryInRoot` resolves the ones before it inside the root only
 * (openat2). Invariant: names are bytes, one character for each (c-path.ts).
 * Every function throws SysError.
 */
import { constants } from 'node:fs';
import { cPath, secondCPath } from './c-path.ts';
import { check, libcFunction } from './libc.ts';

/** open(2) flags that Node does not name. */
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
/** openat2(2): its number is the same on every architecture; flags from <linux/openat2.h>. */
const SYS_OPENAT2 = 437;
const RESOLVE_NO_XDEV = 0x01;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_IN_ROOT = 0x10;
const OPEN_HOW_BYTES = 24;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
/** statx(2): struct size, and where its fields are. */
const STATX_BYTES = 256;
const STATX = {
  nlink: 16,
  uid: 20,
  gid: 24,
  mode: 28,
  inode: 32,
  size: 40,
  blocks: 48,
  mtime: 112,
  mtimeNs: 120,
  rdevMajor: 128,
  rdevMinor: 132,
};
const STATX_TYPE = 0x1;
const STATX_BASIC_STATS = 0x7ff;
const TWO_TO_32 = 2 ** 32;

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
const futimensCall = libcFunction('int futimens(int fd, const void *times)');
const statxCall = libcFunction('int statx(int dirfd, const void *path, int flags, uint mask, void *buffer)');

/** A point in time; nanoseconds are never negative. */
export interface FileTime {
  seconds: number;
  nanoseconds: number;
}

/** What statx(2) says of a name. */
export interface FileStat {
  /** S_IFMT bits. */
  type: number;
  /** Permission bits with setuid, setgid and sticky. */
  mode: number;
  uid: number;
  gid: number;
  links: number;
  inode: bigint;
  sizeBytes: number;
  /** Of 512 bytes. */
  blocks: number;
  mtime: FileTime;
  deviceMajor: number;
  deviceMinor: number;
}

const times = Buffer.alloc(32);
const statBuffer = Buffer.alloc(STATX_BYTES);
const openFlags = O_PATH | constants.O_DIRECTORY | O_CLOEXEC;
const inRoot = howTo(openFlags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
const exact = howTo(openFlags, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);

/** struct open_how. */
function howTo(flags: number, resolve: number): Buffer {
  const how = Buffer.alloc(OPEN_HOW_BYTES);
  how.writeBigUInt64LE(BigInt(flags), 0);
  how.writeBigUInt64LE(BigInt(resolve), 16);
  return how;
}

/** Opens the directory `path` (text, trusted) as a root for the calls below. */
export function openRoot(path: string): number {
  const bytes = Buffer.from(path).toString('latin1');
  return check(openatCall(AT_FDCWD, cPath(bytes), openFlags, 0), 'openat', path);
}

/** Opens the directory `path` below `rootFd` as if that were `/`: symlinks and `..` cannot leave it, mounts are not crossed. */
export function openDirectoryInRoot(rootFd: number, path: string): number {
  return check(openat2Call(SYS_OPENAT2, rootFd, cPath(path === '' ? '.' : path), inRoot, OPEN_HOW_BYTES), 'openat2');
}

/** The same for a path without symlinks: ELOOP when there is one in it. */
export function openExactDirectory(rootFd: number, path: string): number {
  return check(openat2Call(SYS_OPENAT2, rootFd, cPath(path === '' ? '.' : path), exact, OPEN_HOW_BYTES), 'openat2');
}

/** Opens the directory `name` itself, or `..`. */
export function openDirectoryAt(dirFd: number, name: string): number {
  return check(openatCall(dirFd, cPath(name), openFlags | constants.O_NOFOLLOW, 0), 'openat');
}

/** Creates the file `name` for writing with `mode`, less the umask; EEXIST when anything has that name. */
export function createFileAt(dirFd: number, name: string, mode: number): number {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | O_CLOEXEC;
  return check(openatCall(dirFd, cPath(name), flags, mode), 'openat');
}

/** Opens the file `name` for reading; never waits, and never follows a symlink (ELOOP). */
export function openFileAt(dirFd: number, name: string): number {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | constants.O_NOFOLLOW | O_CLOEXEC;
  return check(openatCall(dirFd, cPath(name), flags, 0), 'openat');
}

/** Makes a directory with `mode`, less the umask. */
export function mkdirAt(dirFd: number, name: string, mode: number): void {
  check(mkdiratCall(dirFd, cPath(name), mode), 'mkdirat');
}

export function symlinkAt(target: string, dirFd: number, name: string): void {
  check(symlinkatCall(cPath(target), dirFd, secondCPath(name)), 'symlinkat');
}

/** A hard link to a name itself, never to what a symlink of that name points at. */
export function linkAt(from: { dirFd: number; name: string }, dirFd: number, name: string): void {
  check(linkatCall(from.dirFd, cPath(from.name), dirFd, secondCPath(name), 0), 'linkat');
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
export function utimesAt(dirFd: number, name: string, time: FileTime): void {
  check(utimensatCall(dirFd, cPath(name), timesOf(time), AT_SYMLINK_NOFOLLOW), 'utimensat');
}

/** Sets both times of an open file. */
export function setFileTimes(fd: number, time: FileTime): void {
  check(futimensCall(fd, timesOf(time)), 'futimens');
}

/** Two struct timespec: written as halves, since a BigInt for each file costs more than the rest. */
function timesOf(time: FileTime): Buffer {
  const high = Math.floor(time.seconds / TWO_TO_32);
  for (const offset of [0, 16]) {
    times.writeUInt32LE(time.seconds - high * TWO_TO_32, offset);
    times.writeInt32LE(high, offset + 4);
    times.writeUInt32LE(time.nanoseconds, offset + 8);
  }
  return times;
}

/** The type bits (S_IFMT) of what has that name itself. */
export function typeAt(dirFd: number, name: string): number {
  check(statxCall(dirFd, cPath(name), AT_SYMLINK_NOFOLLOW, STATX_TYPE, statBuffer), 'statx');
  return statBuffer.readUInt16LE(STATX.mode) & constants.S_IFMT;
}

/** What has that name itself; sizes and seconds are exact below 2^53. */
export function statAt(dirFd: number, name: string): FileStat {
  check(statxCall(dirFd, cPath(name), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, statBuffer), 'statx');
  const mode = statBuffer.readUInt16LE(STATX.mode);
  return {
    type: mode & constants.S_IFMT,
    mode: mode & 0o7777,
    uid: statBuffer.readUInt32LE(STATX.uid),
    gid: statBuffer.readUInt32LE(STATX.gid),
    links: statBuffer.readUInt32LE(STATX.nlink),
    inode: statBuffer.readBigUInt64LE(STATX.inode),
    sizeBytes: Number(statBuffer.readBigUInt64LE(STATX.size)),
    blocks: Number(statBuffer.readBigUInt64LE(STATX.blocks)),
    mtime: { seconds: Number(statBuffer.readBigInt64LE(STATX.mtime)), nanoseconds: statBuffer.readUInt32LE(STATX.mtimeNs) },
    deviceMajor: statBuffer.readUInt32LE(STATX.rdevMajor),
    deviceMinor: statBuffer.readUInt32LE(STATX.rdevMinor),
  };
}
