/**
 * Open directories of a layer being unpacked, by path, so that the files of
 * one directory resolve it once. Directories that the archive takes for
 * granted are made 0755 root and remembered: in an overlay they would hide
 * the owner and mode a lower layer gave them (see fixup.ts). Invariant: a
 * descriptor handed out stays valid until KEPT further paths were asked for.
 */
import { constants, readdirSync } from 'node:fs';
import { errnoOf } from '../errors/index.ts';
import { chmodAt, closeFd, mkdirAt, openDirectoryInRoot, openRoot, typeAt, unlinkAt } from '../sys/index.ts';

/** Descriptors kept open; archives go through directories one by one, so few are enough. */
const KEPT = 32;
const IMPLIED_MODE = 0o755;

export class DirectoryCache implements Disposable {
  readonly #rootFd: number;
  /** In order of last use. */
  readonly #open = new Map<string, number>();
  readonly #implied = new Set<string>();

  constructor(root: string) {
    this.#rootFd = openRoot(root);
  }

  /** The directory `path` ('' is the root), made with its parents when absent. */
  open(path: string): number {
    const found = this.find(path);
    if (found !== undefined) return found;
    const slash = path.lastIndexOf('/');
    const parentFd = this.open(slash < 0 ? '' : path.slice(0, slash));
    const name = path.slice(slash + 1);
    mkdirAt(parentFd, name);
    chmodAt(parentFd, name, IMPLIED_MODE);
    this.#implied.add(path);
    return this.#keep(path, openDirectoryInRoot(this.#rootFd, path));
  }

  /** The directory `path`, undefined when it is absent; throws when it is something else. */
  find(path: string): number | undefined {
    if (path === '') return this.#rootFd;
    const cached = this.#open.get(path);
    if (cached !== undefined) {
      this.#open.delete(path);
      this.#open.set(path, cached);
      return cached;
    }
    try {
      return this.#keep(path, openDirectoryInRoot(this.#rootFd, path));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** The archive does hold the directory after all; true when it was taken for implied. */
  explicit(path: string): boolean {
    return this.#implied.delete(path);
  }

  /** What was at `path` is replaced. Everything is dropped, since symlinks may lead below it by other names. */
  forget(path: string): void {
    for (const fd of this.#open.values()) closeFd(fd);
    this.#open.clear();
    for (const implied of this.#implied) {
      if (implied === path || implied.startsWith(`${path}/`)) this.#implied.delete(implied);
    }
  }

  /** Directories made without a member of their own. */
  implied(): string[] {
    return [...this.#implied];
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeFd(fd);
    this.#open.clear();
    closeFd(this.#rootFd);
  }

  #keep(path: string, fd: number): number {
    this.#open.set(path, fd);
    for (const [oldest, oldestFd] of this.#open) {
      if (this.#open.size <= KEPT) break;
      this.#open.delete(oldest);
      closeFd(oldestFd);
    }
    return fd;
  }
}

/** Removes the directory `name` of `dirFd` with everything below it; symlinks are removed, never followed. */
export function removeTreeAt(dirFd: number, name: string): void {
  const path = Buffer.from(`/proc/self/fd/${dirFd}/${name}`, 'latin1');
  const fd = openDirectoryInRoot(dirFd, name);
  try {
    for (const child of readdirSync(path, { encoding: 'latin1' })) {
      if (typeAt(fd, child) === constants.S_IFDIR) removeTreeAt(fd, child);
      else unlinkAt(fd, child);
    }
  } finally {
    closeFd(fd);
  }
  unlinkAt(dirFd, name, true);
}
