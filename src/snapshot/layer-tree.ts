/**
 * A layer's directory as its archive's names see it, for reading it again. A
 * name may lead through a symlink of the layer, as it did when it was
 * unpacked: it is resolved below the layer's root only, so that a layer can
 * show nothing of the host, and two names of one place are known as one.
 * Paths have one character a byte.
 */
import { type BigIntStats, lstatSync } from 'node:fs';
import { openFileAt } from '../sys/index.ts';
import { splitPath } from '../tar/index.ts';
import { DirectoryCache } from './directory-cache.ts';

/** Where a member of the archive is. Valid until the next is located. */
export interface Located {
  /** Below the root, free of symlinks but for the last part; '' is the root. */
  path: string;
  /** Its directory; undefined when that is not there. */
  dirFd: number | undefined;
  /** In that directory; '.' for the root. */
  name: string;
}

export class LayerTree implements Disposable {
  readonly #directories: DirectoryCache;

  constructor(dir: string) {
    this.#directories = new DirectoryCache(dir, { umask: 0, implied() {}, replacing() {} });
  }

  /** Throws IMAGE_LAYER for a name no member can have. */
  locate(archived: string): Located {
    const parts = splitPath(archived);
    const name = parts.pop();
    if (name === undefined) return { path: '', dirFd: this.#directories.root.fd, name: '.' };
    const directory = this.#directories.find(parts.join('/'));
    if (directory === undefined) return { path: [...parts, name].join('/'), dirFd: undefined, name };
    return { path: directory.path === '' ? name : `${directory.path}/${name}`, dirFd: directory.fd, name };
  }

  /** Opens the regular file of that name. Throws SysError ENOENT, ELOOP and the like. */
  openFile(archived: string): number {
    const { dirFd, name } = this.locate(archived);
    if (dirFd === undefined) throw Object.assign(new Error('its directory is missing'), { code: 'ENOENT' });
    return openFileAt(dirFd, name);
  }

  [Symbol.dispose](): void {
    this.#directories[Symbol.dispose]();
  }
}

/** The path of a located name for system calls; undefined when its directory is not there. */
export function fullPath({ dirFd, name }: Located): Buffer | undefined {
  return dirFd === undefined ? undefined : Buffer.from(`/proc/self/fd/${dirFd}/${name}`, 'latin1');
}

/** What is there itself; undefined when nothing is. */
export function statLocated(located: Located): BigIntStats | undefined {
  const full = fullPath(located);
  return full === undefined ? undefined : lstatSync(full, { bigint: true, throwIfNoEntry: false });
}
