/**
 * Turns the members of a layer's tar into a directory that overlayfs can
 * take as a lower. Each step works on an open parent directory found inside
 * the layer only (sys/at.ts) and on the last name itself, so nothing a
 * member says can touch anything outside: an absolute name starts at the
 * layer's root, a symlink resolves below it, `..` is refused.
 *
 * Order matters: owner before mode (chown clears setuid), capabilities after
 * the owner, times last, and directories' modes and times at the very end,
 * since writing into them changes both.
 */
import { constants, writeSync } from 'node:fs';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';
import {
  chmodAt,
  chownAt,
  closeFd,
  createFileAt,
  linkAt,
  mkdirAt,
  mknodAt,
  setXattrAt,
  symlinkAt,
  typeAt,
  unlinkAt,
  utimesAt,
} from '../sys/index.ts';
import type { Member, TarSink } from '../tar/index.ts';
import { layerError, printable, splitPath } from '../tar/index.ts';
import { DirectoryCache, removeTreeAt } from './directory-cache.ts';
import { parseWhiteout } from './whiteout.ts';
import { setXattrs } from './xattrs.ts';

/** What was unpacked. */
export interface LayerContent {
  /** Bytes of its files. */
  sizeBytes: number;
  /** Bytes on disk: files rounded up to blocks, a block a directory. */
  diskBytes: number;
  inodes: number;
  /** Directories the archive implied but did not hold, one character a byte; '' is the root. */
  implied: string[];
  /** It hides every layer below it. */
  opaqueRoot: boolean;
}

/** Allocation unit assumed for diskBytes: that of ext4 and xfs as Debian makes them. */
const DISK_BLOCK_BYTES = 4096;
const OPAQUE = { name: 'trusted.overlay.opaque', value: Buffer.from('y') };
const { S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO } = constants;
const DEVICE_TYPES = { char: S_IFCHR, block: S_IFBLK, fifo: S_IFIFO } as const;

/** What the disk, not the layer, is to blame for. */
const DISK_ERRORS = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO']);

interface Place {
  dirFd: number;
  name: string;
  /** Path below the root. */
  path: string;
}

export class LayerWriter implements TarSink, Disposable {
  readonly #directories: DirectoryCache;
  /** Only what finish() sets: a member's attributes are up to 1 MiB, and a layer may have any number of directories. */
  readonly #pendingDirectories = new Map<string, Pick<Member, 'mode' | 'mtime'>>();
  readonly #whiteouts = new Set<string>();
  readonly #content: LayerContent = { sizeBytes: 0, diskBytes: 0, inodes: 0, implied: [], opaqueRoot: false };
  /** What the last member replaced: directories cached below it are stale, but its own parent is in use until end(). */
  #replaced: string | undefined;
  #file: { fd: number; place: Place; member: Member } | undefined;

  /** `dir` must be an empty directory that nobody else writes to. */
  constructor(dir: string) {
    this.#directories = new DirectoryCache(dir);
    this.#count(DISK_BLOCK_BYTES);
  }

  begin(member: Member): void {
    if (this.#replaced !== undefined) this.#directories.forget(this.#replaced);
    this.#replaced = undefined;
    const parts = splitPath(member.path);
    const name = parts.at(-1);
    if (name === undefined) {
      try {
        this.#root(member);
      } catch (error) {
        throw explain(error, member);
      }
      return;
    }
    const parent = parts.slice(0, -1).join('/');
    const whiteout = parseWhiteout(name);
    if (whiteout?.kind === 'ignored') return;
    try {
      const dirFd = this.#directories.open(parent);
      const place = { dirFd, name, path: parent === '' ? name : `${parent}/${name}` };
      if (whiteout === undefined) this.#create(member, place);
      else if (whiteout.kind === 'opaque') this.#opaque(place, parent);
      else this.#whiteout({ ...place, name: whiteout.name, path: parent === '' ? whiteout.name : `${parent}/${whiteout.name}` });
    } catch (error) {
      throw explain(error, member);
    }
  }

  data(chunk: Buffer): void {
    if (this.#file === undefined) return; // a whiteout that carries data
    try {
      for (let at = 0; at < chunk.length; ) at += writeSync(this.#file.fd, chunk, at);
    } catch (error) {
      throw explain(error, this.#file.member);
    }
  }

  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#closeFile();
    try {
      setMetadata(file.place, file.member);
    } catch (error) {
      throw explain(error, file.member);
    }
  }

  /** Sets what directories get last and returns the totals. */
  finish(): LayerContent {
    if (this.#replaced !== undefined) this.#directories.forget(this.#replaced);
    const byDepth = [...this.#pendingDirectories].sort(([a], [b]) => depth(b) - depth(a));
    for (const [path, member] of byDepth) {
      const dirFd = this.#existing(path);
      if (dirFd === undefined) continue;
      chmodAt(dirFd, '.', member.mode);
      utimesAt(dirFd, '.', member.mtime);
    }
    this.#content.implied = this.#directories.implied();
    for (const _ of this.#content.implied) this.#count(DISK_BLOCK_BYTES);
    if (!this.#pendingDirectories.has('')) this.#content.implied.push('');
    return this.#content;
  }

  /** A directory that was unpacked under `path`, unless a later member replaced something on the way to it. */
  #existing(path: string): number | undefined {
    try {
      return this.#directories.find(path);
    } catch (error) {
      if (errnoOf(error) === 'ENOTDIR' || errnoOf(error) === 'ELOOP') return undefined;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#closeFile();
    this.#directories[Symbol.dispose]();
  }

  #root(member: Member): void {
    if (member.type !== 'directory') throw layerError(`the layer’s root (${printable(member.path)}) is not a directory in it`);
    const dirFd = this.#directories.open('');
    this.#pendingDirectories.set('', { mode: member.mode, mtime: member.mtime });
    setOwnerAndXattrs({ dirFd, name: '.', path: '' }, member);
  }

  #create(member: Member, place: Place): void {
    const kept = member.type === 'directory' && this.#isDirectory(place);
    if (!kept) this.#retrying(place, () => this.#make(member, place));
    if (member.type === 'directory') {
      if (this.#directories.explicit(place.path)) this.#count(DISK_BLOCK_BYTES); // made before, not counted then
      if (this.#whiteouts.delete(place.path)) setXattrAt(place.dirFd, place.name, OPAQUE);
      this.#pendingDirectories.set(place.path, { mode: member.mode, mtime: member.mtime });
      setOwnerAndXattrs(place, member);
    } else if (this.#file === undefined && member.type !== 'hardlink') setMetadata(place, member);
    if (!kept && member.type !== 'hardlink') this.#count(member.type === 'directory' ? DISK_BLOCK_BYTES : member.size);
    if (member.type === 'file') this.#content.sizeBytes += member.size;
  }

  #make(member: Member, place: Place): void {
    const { dirFd, name } = place;
    const device = (type: number): void => {
      mknodAt(dirFd, name, { mode: type | member.mode, major: member.deviceMajor, minor: member.deviceMinor });
    };
    if (member.type === 'file') this.#file = { fd: createFileAt(dirFd, name), place, member };
    else if (member.type === 'directory') mkdirAt(dirFd, name);
    else if (member.type === 'symlink') symlinkAt(member.linkPath, dirFd, name);
    else if (member.type === 'hardlink') this.#link(member, place);
    else device(DEVICE_TYPES[member.type]);
  }

  /** The target is looked for inside the layer, and a symlink of that name is linked itself, not followed. */
  #link(member: Member, place: Place): void {
    const parts = splitPath(member.linkPath);
    const name = parts.at(-1);
    const dirFd = name === undefined ? undefined : this.#directories.find(parts.slice(0, -1).join('/'));
    if (name === undefined || dirFd === undefined || existingType(dirFd, name) === undefined) {
      throw layerError(
        `${printable(member.path)} is a hard link to ${printable(member.linkPath)}, which the layer does not hold before it`,
      );
    }
    linkAt({ dirFd, name }, place.dirFd, place.name);
  }

  /** Everything that lower layers have in the directory is gone; overlayfs does not look at a root's mark, so that one is told. */
  #opaque(place: Place, directory: string): void {
    if (directory === '') this.#content.opaqueRoot = true;
    else setXattrAt(place.dirFd, '.', OPAQUE);
  }

  /** A whiteout hides only what lower layers have: what this layer itself has of that name stays. */
  #whiteout(place: Place): void {
    try {
      mknodAt(place.dirFd, place.name, { mode: S_IFCHR, major: 0, minor: 0 });
      this.#whiteouts.add(place.path);
      this.#count(0);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      if (this.#isDirectory(place)) setXattrAt(place.dirFd, place.name, OPAQUE);
    }
  }

  /** A later member of a name replaces an earlier one. */
  #retrying(place: Place, make: () => void): void {
    try {
      make();
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      if (typeAt(place.dirFd, place.name) === S_IFDIR) removeTreeAt(place.dirFd, place.name);
      else unlinkAt(place.dirFd, place.name);
      make();
      this.#replaced = place.path;
      for (const path of this.#pendingDirectories.keys()) {
        if (path === place.path || path.startsWith(`${place.path}/`)) this.#pendingDirectories.delete(path);
      }
    }
  }

  #isDirectory(place: Place): boolean {
    return existingType(place.dirFd, place.name) === S_IFDIR;
  }

  #count(bytes: number): void {
    this.#content.inodes += 1;
    this.#content.diskBytes += Math.ceil(bytes / DISK_BLOCK_BYTES) * DISK_BLOCK_BYTES;
  }

  #closeFile(): void {
    if (this.#file === undefined) return;
    closeFd(this.#file.fd);
    this.#file = undefined;
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

const depth = (path: string): number => (path === '' ? 0 : path.split('/').length);

function setMetadata(place: Place, member: Member): void {
  setOwnerAndXattrs(place, member);
  if (member.type !== 'symlink') chmodAt(place.dirFd, place.name, member.mode);
  // chmod keeps security.capability, chown would not have
  utimesAt(place.dirFd, place.name, member.mtime);
}

function setOwnerAndXattrs(place: Place, member: Member): void {
  chownAt(place.dirFd, place.name, member);
  setXattrs(place, member);
}

/** Errors of the disk keep their errno for the caller; anything else is about this member. */
function explain(error: unknown, member: Member): unknown {
  const code = errnoOf(error);
  if (error instanceof RuntimeError || code === undefined || DISK_ERRORS.has(code)) return error;
  return layerError(`${member.type} ${printable(member.path)}: ${messageOf(error)}`, error);
}
