/**
 * A path of a layer as the kernel is to see it: an open directory and a last
 * name. So nothing before that name can be a symlink, and a path may be as
 * long as PATH_MAX without the descriptor's own prefix making it longer.
 */
import { readlinkSync } from 'node:fs';
import { closeFd, openExactDirectory } from '../sys/index.ts';

/** A path's directory and last name; of the root '' and '.'. */
export function parentOf(path: string): { parent: string; name: string } {
  const slash = path.lastIndexOf('/');
  return { parent: slash < 0 ? '' : path.slice(0, slash), name: path === '' ? '.' : path.slice(slash + 1) };
}

/** Calls `use` with the open directory of `path`, below `rootFd` and without symlinks, and the last name. Throws SysError. */
export function inParent<T>(rootFd: number, path: string, use: (dirFd: number, name: string) => T): T {
  const { parent, name } = parentOf(path);
  const fd = openExactDirectory(rootFd, parent);
  try {
    return use(fd, name);
  } finally {
    closeFd(fd);
  }
}

/** Where the symlink `name` of an open directory points. */
export function readLinkAt(dirFd: number, name: string): string {
  return readlinkSync(Buffer.from(`/proc/self/fd/${dirFd}/${name}`, 'latin1'), { encoding: 'latin1' });
}

/** The absolute path of what a descriptor is open on. */
export function descriptorPath(fd: number): string {
  return readlinkSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' });
}
