/**
 * A layer's directory as its archive's names see it, for reading it again. A
 * name may lead through a symlink of the layer, as it did when it was
 * unpacked: it is resolved below the layer's root only, so that a layer can
 * show nothing of the host, and two names of one place are known as one.
 * Paths have one character a byte.
 */
import { type BigIntStats, lstatSync, readlinkSync } from 'node:fs';
import { errnoOf } from '../errors/index.ts';
import { openFileAt } from '../sys/index.ts';
import { splitPath } from '../tar/index.ts';
import { DirectoryCache } from './directory-cache.ts';

/** Where a member of the archive is. */
export interface Located {
  /** Below the root, free of symlinks but for the last part; '' is the root. */
  path: string;
  /** For system calls; undefined when its directory is not there. Valid until the next is located. */
  full: Buffer | undefined;
}

export class LayerTree implements Disposable {
  readonly #directories: DirectoryCache;
  readonly #root: string;
  /** Directories by the archive's names to their real paths. */
  readonly #real = new Map<string, string>();

  constructor(dir: string) {
    this.#directories = new DirectoryCache(dir);
    this.#root = readlinkSync(`/proc/self/fd/${this.#directories.open('')}`, 'latin1');
  }

  /** Throws IMAGE_LAYER for a name no member can have. */
  locate(name: string): Located {
    const parts = splitPath(name);
    const last = parts.pop() ?? '';
    const parent = parts.join('/');
    const dirFd = this.#open(parent);
    if (dirFd === undefined) return { path: [...parts, last].join('/'), full: undefined };
    const real = this.#realPath(parent, dirFd);
    return { path: real === '' || last === '' ? `${real}${last}` : `${real}/${last}`, full: bytesOf(dirFd, last) };
  }

  /** undefined when nothing is there. */
  stat({ full }: Located): BigIntStats | undefined {
    return full === undefined ? undefined : lstatSync(full, { bigint: true, throwIfNoEntry: false });
  }

  /** Opens the regular file of that name. Throws SysError ENOENT, ELOOP and the like. */
  openFile(name: string): number {
    const parts = splitPath(name);
    const last = parts.pop() ?? '';
    const dirFd = this.#open(parts.join('/'));
    if (dirFd === undefined) throw Object.assign(new Error(`${name} is missing`), { code: 'ENOENT' });
    return openFileAt(dirFd, last);
  }

  [Symbol.dispose](): void {
    this.#directories[Symbol.dispose]();
  }

  #open(path: string): number | undefined {
    try {
      return this.#directories.find(path);
    } catch (error) {
      if (errnoOf(error) === 'ENOTDIR' || errnoOf(error) === 'ELOOP') return undefined;
      throw error;
    }
  }

  #realPath(path: string, fd: number): string {
    const known = this.#real.get(path);
    if (known !== undefined) return known;
    const real = readlinkSync(`/proc/self/fd/${fd}`, 'latin1').slice(this.#root.length + 1);
    this.#real.set(path, real);
    return real;
  }
}

/** `name` in the directory behind a descriptor; the directory itself for ''. */
const bytesOf = (dirFd: number, name: string): Buffer => Buffer.from(`/proc/self/fd/${dirFd}/${name === '' ? '.' : name}`, 'latin1');
