/**
 * Reads of cgroup files with kept descriptors: 600 reads in about a
 * millisecond, since the path is walked once and not at every sample. A
 * removed cgroup answers ENODEV on a kept descriptor; it is then opened anew,
 * so that a cgroup made again under the same path is read and not its ghost.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { errnoOf } from '../errors/index.ts';

/** Reads a file of one cgroup by name; undefined when it is not there. */
export type ReadFile = (name: string) => string | undefined;

/** Kept descriptors, for all cgroups: 200 containers of 20 files. Beyond it files are opened for each read. */
const KEPT_LIMIT = 4096;
/** Largest cgroup file read: memory.stat has 2 KiB, cgroup.procs of 8,000 processes 64 KiB. */
const BUFFER_BYTES = 64 * 1024;

/** The kernel hands long lists out a page (4096 bytes) of whole lines at a time; a shorter answer is the end. */
const FULL_READ_BYTES = 4000;

/** What says that a file or its cgroup is not there. */
const ABSENT = new Set(['ENOENT', 'ENODEV', 'ENOTDIR']);

/** Descriptors of one cgroup directory: file -> fd, or undefined for a file known to be absent. */
type Kept = Map<string, number | undefined>;

export class CgroupFiles {
  readonly #kept = new Map<string, Kept>();
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #open = 0;

  /** Content of `dir`/`name`; undefined when absent. Other errors are thrown as they came. */
  read(dir: string, name: string): string | undefined {
    const kept = this.#kept.get(dir);
    if (kept?.has(name) === true) {
      const fd = kept.get(name);
      if (fd === undefined) return undefined;
      try {
        return this.#readFd(fd);
      } catch (error) {
        if (errnoOf(error) !== 'ENODEV') throw error;
        this.forget(dir); // removed since; perhaps made again
      }
    }
    return this.#openAndRead(dir, name);
  }

  /**
   * As read(), but through a descriptor of its own. v1 keeps the list behind
   * an open cgroup.procs until nobody reads it for a second, so a kept
   * descriptor that is read often shows the same processes forever.
   */
  readOnce(dir: string, name: string): string | undefined {
    const fd = this.#tryOpen(`${dir}/${name}`);
    if (fd === undefined) return undefined;
    try {
      return this.#readNew(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Closes what is kept of a directory; absent files are looked for again. Idempotent. */
  forget(dir: string): void {
    for (const fd of this.#kept.get(dir)?.values() ?? []) {
      if (fd === undefined) continue;
      closeSync(fd);
      this.#open -= 1;
    }
    this.#kept.delete(dir);
  }

  /** Number of descriptors kept. */
  get open(): number {
    return this.#open;
  }

  #openAndRead(dir: string, name: string): string | undefined {
    const fd = this.#tryOpen(`${dir}/${name}`);
    if (fd === undefined) {
      // Remembered only for a cgroup that exists: what is not there yet may come.
      if (this.#kept.has(dir)) this.#keep(dir, name, undefined);
      return undefined;
    }
    if (this.#open < KEPT_LIMIT) {
      this.#keep(dir, name, fd);
      return this.#readNew(fd);
    }
    closeSync(fd);
    return this.readOnce(dir, name);
  }

  /** The cgroup may be removed between open and read. */
  #readNew(fd: number): string | undefined {
    try {
      return this.#readFd(fd);
    } catch (error) {
      if (errnoOf(error) === 'ENODEV') return undefined;
      throw error;
    }
  }

  #keep(dir: string, name: string, fd: number | undefined): void {
    const kept = this.#kept.get(dir) ?? new Map<string, number | undefined>();
    kept.set(name, fd);
    this.#kept.set(dir, kept);
    if (fd !== undefined) this.#open += 1;
  }

  #tryOpen(path: string): number | undefined {
    try {
      return openSync(path, 'r');
    } catch (error) {
      if (ABSENT.has(errnoOf(error) ?? '')) return undefined;
      throw error;
    }
  }

  #readFd(fd: number): string | undefined {
    let length = 0;
    try {
      while (length < BUFFER_BYTES) {
        const bytes = readSync(fd, this.#buffer, length, BUFFER_BYTES - length, length);
        length += bytes;
        if (bytes < FULL_READ_BYTES) break;
      }
    } catch (error) {
      if (errnoOf(error) === 'EOPNOTSUPP') return undefined; // pressure switched off, or a threaded cgroup
      throw error;
    }
    return this.#buffer.toString('latin1', 0, length);
  }
}
