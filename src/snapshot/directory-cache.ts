/**
 * Open directories of a layer being unpacked, by the paths its archive uses,
 * so that the files of one directory resolve it once. Each has a canonical
 * path too, without symlinks, which is what is remembered of it. Directories
 * that the archive takes for granted are made 0755 root: in an overlay they
 * would hide the owner and mode a lower layer gave them (see fixup.ts).
 * Invariant: a descriptor handed out stays valid until KEPT further paths
 * were asked for.
 */
import { constants } from 'node:fs';
import { errnoOf } from '../errors/index.ts';
import {
  chmodAt,
  closeFd,
  type FileStat,
  mkdirAt,
  openDirectoryAt,
  openDirectoryInRoot,
  openExactDirectory,
  openRoot,
  setXattrAt,
  statAt,
  typeAt,
  unlinkAt,
} from '../sys/index.ts';
import { layerError, PATH_LIMIT_BYTES, printable } from '../tar/index.ts';
import { descriptorPath, parentOf, readLinkAt } from './in-parent.ts';
import { OPAQUE } from './whiteout.ts';

/** Descriptors kept open; archives go through directories one by one, so few are enough. */
const KEPT = 32;
/** Symlinks on the way of one path, as the kernel has it (path_resolution(7)). */
const SYMLINKS_LIMIT = 40;
export const IMPLIED_MODE = 0o755;
/** No directory has that path: nothing has it, or something else (ELOOP: a symlink that leads in a circle, or one where none may be). */
const ABSENT = ['ENOENT', 'ENOTDIR', 'ELOOP'];

/** An open directory. */
export interface Directory {
  readonly fd: number;
  /** Below the root, without symlinks; '' is the root. */
  readonly path: string;
  /** The owner that a file made in it has at first, once that was seen. */
  givenOwner?: { uid: number; gid: number };
}

/** What the cache does beside opening. */
export interface DirectoryCacheOptions {
  umask: number;
  /** A directory was made that the archive only implied; `path` is canonical. */
  implied: (path: string) => void;
  /** A whiteout is about to give way to such a directory; `path` is canonical. */
  replacing: (path: string, whiteout: FileStat) => void;
}

export class DirectoryCache implements Disposable {
  readonly root: Directory;
  readonly #options: DirectoryCacheOptions;
  /** By the path that was asked for, in order of last use. */
  readonly #open = new Map<string, Directory>();

  constructor(root: string, options: DirectoryCacheOptions) {
    this.root = { fd: openRoot(root), path: '' };
    this.#options = options;
  }

  /** The directory `path` ('' is the root), made with its parents when absent. Throws IMAGE_LAYER when it is something else. */
  open(path: string, symlinks = 0): Directory {
    const found = this.find(path);
    if (found !== undefined) return found;
    const { parent: parentPath, name } = parentOf(path);
    const parent = this.open(parentPath, symlinks);
    const canonical = joined(parent, name);
    const target = this.#makeOrRead(parent, name);
    if (target !== undefined) {
      // a symlink to what only a lower layer may have
      const leadsTo = destination(parent.path, target);
      if (leadsTo === undefined || symlinks >= SYMLINKS_LIMIT) throw notADirectory(canonical);
      return this.open(leadsTo, symlinks + 1);
    }
    this.#options.implied(canonical);
    return this.#keep(path, { fd: openDirectoryAt(parent.fd, name), path: canonical });
  }

  /** The directory `path`, undefined when there is none. */
  find(path: string): Directory | undefined {
    if (path === '') return this.root;
    const cached = this.#open.get(path);
    if (cached !== undefined) {
      this.#open.delete(path);
      this.#open.set(path, cached);
      return cached;
    }
    const found = this.#resolve(path);
    return found === undefined ? undefined : this.#keep(path, found);
  }

  /** Opens the directory of that canonical path, for the caller to close; undefined when a later member replaced it, or something on the way to it. */
  openExact(path: string): number | undefined {
    return orAbsent(() => openExactDirectory(this.root.fd, path));
  }

  /** The owner of a directory changed, and with it maybe that of what is made in it. */
  ownerChanged(path: string): void {
    for (const directory of [this.root, ...this.#open.values()]) {
      if (directory.path === path) delete directory.givenOwner;
    }
  }

  /** Something that paths may have led through was replaced. Everything is dropped, since symlinks lead to places by other names. */
  forget(): void {
    for (const { fd } of this.#open.values()) closeFd(fd);
    this.#open.clear();
    delete this.root.givenOwner;
  }

  [Symbol.dispose](): void {
    this.forget();
    closeFd(this.root.fd);
  }

  /**
   * Makes an implied directory, also where a whiteout is: then nothing of
   * lower layers shows in it. Where a symlink is, returns its target instead.
   */
  #makeOrRead(parent: Directory, name: string): string | undefined {
    try {
      mkdirAt(parent.fd, name, IMPLIED_MODE);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      if (typeAt(parent.fd, name) === constants.S_IFLNK) return readLinkAt(parent.fd, name);
      if (!isWhiteout(parent.fd, name)) throw notADirectory(joined(parent, name));
      this.#options.replacing(joined(parent, name), statAt(parent.fd, name));
      unlinkAt(parent.fd, name);
      mkdirAt(parent.fd, name, IMPLIED_MODE);
      setXattrAt(parent.fd, name, OPAQUE);
    }
    if ((this.#options.umask & IMPLIED_MODE) !== 0) chmodAt(parent.fd, name, IMPLIED_MODE);
    return undefined;
  }

  #keep(path: string, directory: Directory): Directory {
    this.#open.set(path, directory);
    for (const [oldest, { fd }] of this.#open) {
      if (this.#open.size <= KEPT) break;
      this.#open.delete(oldest);
      closeFd(fd);
    }
    return directory;
  }

  /** Most paths have no symlink in them and are canonical; of one that has, the kernel says where it leads. */
  #resolve(path: string): Directory | undefined {
    const exact = orAbsent(() => openExactDirectory(this.root.fd, path));
    if (exact !== undefined) return { fd: exact, path };
    const fd = orAbsent(() => openDirectoryInRoot(this.root.fd, path));
    if (fd === undefined) return undefined;
    const [root = '', full = ''] = [this.root.fd, fd].map(descriptorPath);
    return { fd, path: full.slice(root.length + 1) };
  }
}

/** The path of `name` in a directory. Throws IMAGE_LAYER when it is too long to be opened again. */
export function joined(directory: Directory, name: string): string {
  const path = directory.path === '' ? name : `${directory.path}/${name}`;
  if (path.length > PATH_LIMIT_BYTES) throw layerError(`the name ${printable(path)}… is longer than ${PATH_LIMIT_BYTES} bytes`);
  return path;
}

/** Where a symlink in the canonical directory `from` leads, as a path below the root; undefined when only following it would tell. */
function destination(from: string, target: string): string | undefined {
  const parts = target.startsWith('/') || from === '' ? [] : from.split('/');
  let isBack = true;
  for (const part of target.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') {
      isBack = false;
      parts.push(part);
    } else if (isBack) parts.pop();
    else return undefined; // back from what may be a symlink itself
  }
  return parts.join('/');
}

const notADirectory = (path: string) => layerError(`${printable(path)} is not a directory in it, but has something in it`);

/** A device 0/0, as overlayfs has it. */
export function isWhiteout(dirFd: number, name: string): boolean {
  const { type, deviceMajor, deviceMinor } = statAt(dirFd, name);
  return type === constants.S_IFCHR && deviceMajor === 0 && deviceMinor === 0;
}

function orAbsent(open: () => number): number | undefined {
  try {
    return open();
  } catch (error) {
    if (ABSENT.includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}
