/**
 * Extended attributes, also of symlinks, devices and names that are not
 * UTF-8: Node has no calls for them. By path, since setxattrat(2) is newer
 * than Debian 12; a name below an open directory goes by the descriptor's own
 * path in /proc. Names of files are bytes (c-path.ts); every function but
 * `hasXattrAt` throws SysError.
 */
import { cPath } from './c-path.ts';
import { check, errnoNumber, lastErrno, libcFunction, SysError } from './libc.ts';

const lgetxattrCall = libcFunction('long lgetxattr(const void *path, const void *name, void *value, size_t size)');
const lsetxattrCall = libcFunction('int lsetxattr(const void *path, const void *name, const void *value, size_t size, int flags)');
const fsetxattrCall = libcFunction('int fsetxattr(int fd, const void *name, const void *value, size_t size, int flags)');
const llistxattrCall = libcFunction('long llistxattr(const void *path, void *list, size_t size)');
const lremovexattrCall = libcFunction('int lremovexattr(const void *path, const void *name)');

/** XATTR_SIZE_MAX and XATTR_LIST_MAX of <linux/limits.h>: the kernel keeps no more. */
const XATTR_BYTES = 65_536;

/** An attribute and its value. */
export interface Xattr {
  name: string;
  value: Uint8Array;
}

/** The path of `name` below an open directory. */
const below = (dirFd: number, name: string): Buffer => cPath(`/proc/self/fd/${dirFd}/${name}`);
/** An attribute's name: bytes too. */
const cKey = (key: string): Buffer => Buffer.from(`${key}\0`, 'latin1');

/** Sets an attribute of the name itself. */
export function setXattrAt(dirFd: number, name: string, { name: key, value }: Xattr): void {
  check(lsetxattrCall(below(dirFd, name), cKey(key), value, value.length, 0), 'lsetxattr', key);
}

/** Sets an attribute of an open file. */
export function setFileXattr(fd: number, { name, value }: Xattr): void {
  check(fsetxattrCall(fd, cKey(name), value, value.length, 0), 'fsetxattr', name);
}

/** True when the name itself has the attribute. */
export function hasXattrAt(dirFd: number, name: string, key: string): boolean {
  return lgetxattrCall(below(dirFd, name), cKey(key), null, 0) >= 0;
}

/** Every attribute of the name itself, by name; none where the file system has no such thing. */
export function xattrsAt(dirFd: number, name: string): Xattr[] {
  const buffer = Buffer.alloc(XATTR_BYTES);
  const length = llistxattrCall(below(dirFd, name), buffer, XATTR_BYTES);
  if (length < 0 && lastErrno() === errnoNumber('EOPNOTSUPP')) return [];
  if (length < 0) throw new SysError(lastErrno(), 'llistxattr');
  const names = buffer
    .toString('latin1', 0, length)
    .split('\0')
    .filter((key) => key !== '');
  return names.sort().map((key) => {
    const size = check(lgetxattrCall(below(dirFd, name), cKey(key), buffer, XATTR_BYTES), 'lgetxattr', key);
    return { name: key, value: Buffer.from(buffer.subarray(0, size)) };
  });
}

/** Takes an attribute away; absent is success. */
export function removeXattrAt(dirFd: number, name: string, key: string): void {
  const result = lremovexattrCall(below(dirFd, name), cKey(key));
  if (result >= 0) return;
  const errno = lastErrno();
  if (errno !== errnoNumber('ENODATA') && errno !== errnoNumber('EOPNOTSUPP')) throw new SysError(errno, 'lremovexattr', key);
}
