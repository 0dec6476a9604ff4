/**
 * Reading a file of a tree that strangers made, such as /etc/passwd of an
 * image: resolved with the tree as its root, so no symlink or `..` in it
 * reaches the host (CVE-2018-15664 and its like), and opened without waiting,
 * so a FIFO of that name cannot hang berth.
 */
import { constants, fstatSync, readSync } from 'node:fs';
import { check, closeFd, errnoNumber, lastErrno, libcFunction, SysError } from './libc.ts';

/** open(2) O_PATH and O_CLOEXEC, which Node does not name. */
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
// openat2(2)
const SYS_OPENAT2 = 437;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_IN_ROOT = 0x10;
const OPEN_HOW_BYTES = 24;
const AT_FDCWD = -100;

const openatCall = libcFunction('int openat(int dirfd, const char *path, int flags, uint mode)');
const openat2Call = libcFunction('long syscall(long number, int dirfd, const char *path, const void *how, size_t size)');

/**
 * The content of the regular file `path` below `root`, at most `limitBytes`;
 * undefined when there is none. Throws SysError for anything else.
 */
export function readBeneath(root: string, path: string, limitBytes: number): Buffer | undefined {
  const rootFd = check(openatCall(AT_FDCWD, root, O_PATH | constants.O_DIRECTORY | O_CLOEXEC, 0), 'openat', root);
  try {
    const fd = openInRoot(rootFd, path);
    return fd === undefined ? undefined : readAndClose(fd, limitBytes);
  } finally {
    closeFd(rootFd);
  }
}

function openInRoot(rootFd: number, path: string): number | undefined {
  const how = Buffer.alloc(OPEN_HOW_BYTES);
  how.writeBigUInt64LE(BigInt(constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), 16);
  const fd = openat2Call(SYS_OPENAT2, rootFd, path, how, OPEN_HOW_BYTES);
  if (fd >= 0) return fd;
  const errno = lastErrno();
  if (['ENOENT', 'ENOTDIR', 'ELOOP'].some((name) => errno === errnoNumber(name))) return undefined;
  throw new SysError(errno, 'openat2', path);
}

function readAndClose(fd: number, limitBytes: number): Buffer | undefined {
  try {
    if (!fstatSync(fd).isFile()) return undefined;
    const content = Buffer.alloc(Math.min(fstatSync(fd).size, limitBytes));
    return content.subarray(0, readSync(fd, content));
  } finally {
    closeFd(fd);
  }
}
