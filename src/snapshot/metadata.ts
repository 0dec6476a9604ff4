/**
 * Owner, mode, attributes and times of what a layer holds. Order matters:
 * owner before mode (chown clears setuid), capabilities after the owner
 * (chown clears them too), times last.
 */
import { statfsSync } from 'node:fs';
import { errnoOf } from '../errors/index.ts';
import { chmodAt, chownAt, setXattrAt, utimesAt, type Xattr } from '../sys/index.ts';
import { layerError, type Member, printable } from '../tar/index.ts';

/** What files made in a directory inherit. */
export const DEFAULT_ACL = 'system.posix_acl_default';
/** Bits that chown clears. */
export const SPECIAL_BITS = 0o7000;

/** Sets everything of a name that is no directory. */
export function setMetadata(dirFd: number, name: string, member: Member): void {
  setOwnerAndXattrs(dirFd, name, member);
  if (member.type !== 'symlink') chmodAt(dirFd, name, member.mode);
  // chmod keeps security.capability, chown would not have
  utimesAt(dirFd, name, member.mtime);
}

/** Sets what a directory gets at once: its default ACL would be inherited by what is made in it. */
export function setOwnerAndXattrs(dirFd: number, name: string, member: Member): void {
  chownAt(dirFd, name, member);
  applyXattrs(dirFd, member, (xattr) => {
    if (xattr.name !== DEFAULT_ACL) setXattrAt(dirFd, name, xattr);
  });
}

/** A member's default ACL, if it has one. */
export function defaultAclOf(member: Member): { defaultAcl?: Buffer } {
  const defaultAcl = member.xattrs.get(DEFAULT_ACL);
  return defaultAcl === undefined ? {} : { defaultAcl };
}

/** Sets the default ACL of a directory when nothing more is made in it. */
export function setDefaultAcl(dirFd: number, value: Buffer): void {
  attempt(dirFd, { name: DEFAULT_ACL, value }, (xattr) => setXattrAt(dirFd, '.', xattr));
}

/** Calls `set` for each attribute of the member, in the directory `dirFd`, that is berth’s to set. */
export function applyXattrs(dirFd: number, member: Member, set: (xattr: Xattr) => void): void {
  for (const [name, value] of member.xattrs) {
    if (isAllowed(name)) attempt(dirFd, { name, value }, set);
  }
}

function attempt(dirFd: number, xattr: Xattr, set: (xattr: Xattr) => void): void {
  const { name, value } = xattr;
  try {
    set(xattr);
  } catch (error) {
    const code = errnoOf(error);
    // The file system has no such attributes, or not on this kind of file: every reader goes on without.
    if (code === 'EOPNOTSUPP' || (code === 'EPERM' && name.startsWith('user.'))) return;
    // ext4 says so of an attribute that is too large, too
    if (code === 'ENOSPC' && hasSpace(dirFd))
      throw layerError(`the attribute ${printable(name)} of ${value.length} bytes is more than the file system takes`);
    throw error;
  }
}

function hasSpace(dirFd: number): boolean {
  const { bavail, ffree } = statfsSync(`/proc/self/fd/${dirFd}`);
  return bavail > 0 && ffree > 0;
}

/** `trusted.` would speak to overlayfs itself, other `security.` labels are the building host's: dropped. */
export const isAllowed = (name: string): boolean =>
  name.startsWith('user.') || name === 'security.capability' || name.startsWith('system.posix_acl_');
