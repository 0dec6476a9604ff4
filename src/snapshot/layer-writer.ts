/**
 * Turns the members of a layer's tar into a directory that overlayfs can
 * take as a lower. Each step works on an open parent directory found inside
 * the layer only (sys/at.ts) and on the last name itself, so nothing a
 * member says can touch anything outside: an absolute name starts at the
 * layer's root, a symlink resolves below it, `..` is refused.
 *
 * Layers are unpacked side by side, so this one knows nothing of those below
 * it: what needs them is written down for the fix-up layer (fixup.ts), and a
 * name that was anything but a directory here hides theirs for good.
 */
import { constants } from 'node:fs';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';
import {
  chmodAt,
  chownAt,
  closeFd,
  currentUmask,
  type FileStat,
  linkAt,
  mkdirAt,
  mknodAt,
  removeXattrAt,
  setXattrAt,
  statAt,
  symlinkAt,
  typeAt,
  utimesAt,
} from '../sys/index.ts';
import type { ByteString, Member, TarSink } from '../tar/index.ts';
import { layerError, printable, splitPath } from '../tar/index.ts';
import { type Directory, DirectoryCache, IMPLIED_MODE, isWhiteout, joined } from './directory-cache.ts';
import { FileWriter } from './file-writer.ts';
import { parentOf } from './in-parent.ts';
import { ContentCount, type LayerContent } from './layer-content.ts';
import { type DirectoryEnd, Ledger } from './ledger.ts';
import { DEFAULT_ACL, defaultAclOf, setDefaultAcl, setMetadata, setOwnerAndXattrs } from './metadata.ts';
import { removeTreeAt } from './remove-tree-at.ts';
import { OPAQUE, parseWhiteout } from './whiteout.ts';

const { S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO, S_IFLNK } = constants;
const DEVICE_TYPES = { char: S_IFCHR, block: S_IFBLK, fifo: S_IFIFO } as const;
const WHITEOUT = { mode: S_IFCHR, major: 0, minor: 0 };
/** Directories that no member describes are alike on every node. */
const IMPLIED_END: DirectoryEnd = { mode: IMPLIED_MODE, mtime: { seconds: 0, nanoseconds: 0 } };

/** What the node, not the layer, is to blame for. */
const NODE_ERRORS = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM']);

/** A name in an open directory. */
interface Place {
  directory: Directory;
  name: string;
  /** Below the root, without symlinks. */
  path: string;
}

export class LayerWriter implements TarSink, Disposable {
  readonly #umask = currentUmask();
  readonly #count = new ContentCount();
  readonly #ledger = new Ledger();
  readonly #directories: DirectoryCache;
  /** What open directories may have been reached through was replaced; the last one is in use until end(). */
  #stale = false;
  #opaqueRoot = false;
  #file: FileWriter | undefined;

  /** `dir` must be an empty directory that nobody else writes to. */
  constructor(dir: string) {
    const implied = (path: string): void => {
      this.#ledger.imply(path);
      this.#count.directory();
    };
    const replacing = (path: string, whiteout: FileStat): void => {
      this.#ledger.unlink(path);
      this.#count.removed(whiteout);
    };
    this.#directories = new DirectoryCache(dir, { umask: this.#umask, implied, replacing });
    this.#ledger.imply('');
    this.#count.directory();
    // What it has of its own parent (setgid, a default ACL) would be inherited by everything in it.
    const { fd } = this.#directories.root;
    removeXattrAt(fd, '.', DEFAULT_ACL);
    chownAt(fd, '.', { uid: 0, gid: 0 });
    chmodAt(fd, '.', IMPLIED_MODE);
  }

  begin(member: Member): void {
    if (this.#stale) this.#directories.forget();
    this.#stale = false;
    const parts = splitPath(member.path);
    const name = parts.pop();
    try {
      if (name === undefined) this.#root(member);
      else this.#named(member, parts.join('/'), name);
    } catch (error) {
      throw explain(error, member);
    }
  }

  data(chunk: Buffer): void {
    if (this.#file === undefined) return; // a whiteout that carries data
    try {
      this.#file.write(chunk);
    } catch (error) {
      throw explain(error, this.#file.member);
    }
  }

  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    try {
      file.finish();
    } catch (error) {
      throw explain(error, file.member);
    } finally {
      this.#closeFile();
    }
  }

  /** Sets what directories get last and returns the totals. */
  finish(): LayerContent {
    this.#directories.forget();
    for (const [path, end] of this.#ledger.directories()) this.#endDirectory(path, end);
    const implied = this.#ledger.implied().filter((path) => this.#endDirectory(path, IMPLIED_END));
    const { sizeBytes, diskBytes, inodes } = this.#count;
    return {
      sizeBytes,
      diskBytes,
      inodes,
      implied,
      lowerLinks: this.#ledger.lowerLinks().filter(({ path }) => this.#isPlaceholder(path)),
      opaqueRoot: this.#opaqueRoot,
    };
  }

  [Symbol.dispose](): void {
    this.#closeFile();
    this.#directories[Symbol.dispose]();
  }

  #root(member: Member): void {
    if (member.type !== 'directory') throw layerError(`the layer’s root (${printable(member.path)}) is not a directory in it`);
    setOwnerAndXattrs(this.#directories.root.fd, '.', member);
    this.#describe('', member);
    this.#directories.ownerChanged('');
  }

  #named(member: Member, parent: string, name: ByteString): void {
    const whiteout = parseWhiteout(name);
    if (whiteout?.kind === 'ignored') return;
    const directory = this.#directories.open(parent);
    if (whiteout?.kind === 'opaque') this.#opaque(directory);
    else if (whiteout?.kind === 'remove') this.#whiteout(placeOf(directory, whiteout.name));
    else this.#create(member, placeOf(directory, name));
  }

  #create(member: Member, place: Place): void {
    if (member.type === 'directory') this.#directory(member, place);
    else if (member.type === 'hardlink') this.#link(member, place);
    else if (member.type === 'file') {
      this.#file = this.#replacing(place, () => new FileWriter(place.directory, place.name, { member, umask: this.#umask }));
      this.#count.file(member.storedBytes);
    } else {
      this.#replacing(place, () => makeNode(member, place));
      this.#count.node();
      setMetadata(place.directory.fd, place.name, member);
    }
  }

  /** A directory named again keeps what is in it. */
  #directory(member: Member, place: Place): void {
    const { directory, name, path } = place;
    const had = this.#typeOf(place, () => mkdirAt(directory.fd, name, IMPLIED_MODE));
    if (had !== undefined && had !== S_IFDIR) {
      this.#remove(place);
      mkdirAt(directory.fd, name, IMPLIED_MODE);
      setXattrAt(directory.fd, name, OPAQUE);
    }
    if (had !== S_IFDIR) this.#count.directory();
    setOwnerAndXattrs(directory.fd, name, member);
    this.#describe(path, member);
    if (had === S_IFDIR) this.#directories.ownerChanged(path);
  }

  #describe(path: string, member: Member): void {
    this.#ledger.explicit(path, { mode: member.mode, mtime: member.mtime, ...defaultAclOf(member) });
  }

  /** The target is looked for inside the layer, and a symlink of that name is linked itself, not followed. */
  #link(member: Member, place: Place): void {
    const linkPath = splitPath(member.linkPath).join('/');
    if (linkPath === '') throw layerError(`${printable(member.path)} is a hard link to the root`);
    const { parent, name } = parentOf(linkPath);
    const directory = this.#directories.find(parent);
    const target = directory === undefined ? linkPath : joined(directory, name);
    if (target === place.path) throw layerError(`${printable(member.path)} is a hard link to itself`);
    const had = directory === undefined ? undefined : existingType(directory.fd, name);
    if (had === S_IFDIR) throw layerError(`${printable(member.path)} is a hard link to the directory ${printable(member.linkPath)}`);
    const isHidden = directory !== undefined && had === S_IFCHR && isWhiteout(directory.fd, name);
    if (directory === undefined || had === undefined) this.#linkBelow(place, target);
    else if (isHidden) this.#linkBelow(place, this.#ledger.linkTarget(target) ?? target);
    else this.#replacing(place, () => linkAt({ dirFd: directory.fd, name }, place.directory.fd, place.name));
  }

  /** A whiteout takes the link's place until the fix-up layer makes it, and hides what lower layers have of its name. */
  #linkBelow(place: Place, target: string): void {
    this.#replacing(place, () => mknodAt(place.directory.fd, place.name, WHITEOUT));
    this.#count.node();
    this.#ledger.link(place.path, target);
  }

  /** Everything that lower layers have in the directory is gone; overlayfs does not look at a root's mark, so that one is told. */
  #opaque(directory: Directory): void {
    if (directory.path === '') this.#opaqueRoot = true;
    else setXattrAt(directory.fd, '.', OPAQUE);
  }

  /** A whiteout hides only what lower layers have: what this layer itself has of that name stays. */
  #whiteout(place: Place): void {
    const { directory, name } = place;
    const had = this.#typeOf(place, () => mknodAt(directory.fd, name, WHITEOUT));
    if (had === S_IFDIR) setXattrAt(directory.fd, name, OPAQUE);
    else if (had === undefined) this.#count.node();
  }

  /** The type of what has the name already; undefined when nothing had and `make` made it. */
  #typeOf(place: Place, make: () => void): number | undefined {
    try {
      make();
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      return typeAt(place.directory.fd, place.name);
    }
    this.#ledger.unlink(place.path); // of a directory that is gone
    return undefined;
  }

  /** A later member of a name replaces an earlier one. */
  #replacing<T>(place: Place, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    this.#remove(place);
    return make();
  }

  #remove({ directory, name, path }: Place): void {
    const type = typeAt(directory.fd, name);
    this.#ledger.unlink(path);
    if (type === S_IFDIR || type === S_IFLNK) this.#stale = true;
    removeTreeAt(directory.fd, name, (stat) => this.#count.removed(stat));
  }

  /** False when the directory was replaced by a later member. */
  #endDirectory(path: string, { mode, mtime, defaultAcl }: DirectoryEnd): boolean {
    const fd = this.#directories.openExact(path);
    if (fd === undefined) return false;
    try {
      chmodAt(fd, '.', mode);
      if (defaultAcl !== undefined) setDefaultAcl(fd, defaultAcl);
      utimesAt(fd, '.', mtime);
      this.#count.grown(statAt(fd, '.'));
    } finally {
      closeFd(fd);
    }
    return true;
  }

  /** A link to a lower layer that no later member replaced, nor anything on the way to it. */
  #isPlaceholder(path: string): boolean {
    const { parent, name } = parentOf(path);
    const fd = this.#directories.openExact(parent);
    if (fd === undefined) return false;
    try {
      return existingType(fd, name) === S_IFCHR && isWhiteout(fd, name);
    } finally {
      closeFd(fd);
    }
  }

  #closeFile(): void {
    this.#file?.[Symbol.dispose]();
    this.#file = undefined;
  }
}

const placeOf = (directory: Directory, name: string): Place => ({ directory, name, path: joined(directory, name) });

function makeNode(member: Member, { directory: { fd }, name }: Place): void {
  if (member.type === 'symlink') {
    // the kernel would take what is before it
    if (member.linkPath.includes('\0')) throw layerError(`the target of the symlink ${printable(member.path)} contains a NUL byte`);
    symlinkAt(member.linkPath, fd, name);
  } else if (member.type === 'char' || member.type === 'block' || member.type === 'fifo') {
    mknodAt(fd, name, { mode: DEVICE_TYPES[member.type] | member.mode, major: member.deviceMajor, minor: member.deviceMinor });
  }
}

/** The type bits of what has that name, undefined when nothing has. */
function existingType(dirFd: number, name: string): number | undefined {
  try {
    return typeAt(dirFd, name);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Errors of the node keep their errno for the caller; anything else is about this member. */
function explain(error: unknown, member: Member): unknown {
  const code = errnoOf(error);
  if (error instanceof RuntimeError || code === undefined || NODE_ERRORS.has(code)) return error;
  return layerError(`${member.type} ${printable(member.path)}: ${messageOf(error)}`, error);
}
