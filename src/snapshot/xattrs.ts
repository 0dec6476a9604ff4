/**
 * The extended attributes of a layer's files: which ones of an archive are
 * taken over, setting them, and comparing what is there with what was set.
 */
import { errnoOf } from '../errors/index.ts';
import { getXattr, listXattrs, setXattrAt } from '../sys/index.ts';
import type { Member } from '../tar/index.ts';

/** `trusted.` would speak to overlayfs itself, other `security.` labels are the building host's: dropped. */
const isAllowed = (name: string): boolean =>
  name.startsWith('user.') || name === 'security.capability' || name.startsWith('system.posix_acl_');

/** Sets the attributes of a member on what was made of it. Throws SysError. */
export function setXattrs(place: { dirFd: number; name: string }, member: Member): void {
  for (const [name, value] of member.xattrs) {
    if (!isAllowed(name)) continue;
    try {
      setXattrAt(place.dirFd, place.name, { name, value });
    } catch (error) {
      if (!isUnsupported(error, name)) throw error;
    }
  }
}

/** The attributes a layer's file has, of those that a layer may have. */
export function xattrsOf(path: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const name of listXattrs(path.toString('latin1')).filter(isAllowed)) {
    const value = getXattr(path.toString('latin1'), name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

/** What is wrong with the attributes of the file at `path` (bytes), in words. */
export function* compareXattrs(path: Buffer, member: Member): Generator<string> {
  for (const [name, value] of member.xattrs) {
    if (!isAllowed(name)) continue;
    try {
      const found = getXattr(path.toString('latin1'), name);
      if (found === undefined || !found.equals(value)) yield `its attribute ${name} is ${found === undefined ? 'missing' : 'another'}`;
    } catch (error) {
      if (!isUnsupported(error, name)) throw error;
    }
  }
}

/** The file system has no such attributes, or not on this kind of file: every reader goes on without. */
function isUnsupported(error: unknown, name: string): boolean {
  const code = errnoOf(error);
  return code === 'EOPNOTSUPP' || (code === 'EPERM' && name.startsWith('user.'));
}
