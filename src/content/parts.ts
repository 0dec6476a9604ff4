/**
 * What was downloaded of a layer before its pull failed, kept so that the
 * next pull of that layer goes on from there: one file a blob, named after
 * its digest. Invariant: such bytes are a guess until the whole blob has its
 * digest, so nobody reads them but a download that hashes them again, and a
 * power cut that emptied them costs one download. A file is written by one
 * taker at a time. All of it together is bounded and disposable.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, isDigest } from '../ids/index.ts';

/** How much is kept. */
export interface PartLimits {
  files: number;
  bytes: number;
  ageMs: number;
}

/** A kubelet comes back within minutes; a layer nobody asked for again in a day is not wanted. */
const AGE_LIMIT_MS = 24 * 60 * 60 * 1000;
const FILES_LIMIT = 32;
const BYTES_LIMIT = 8 * 1024 ** 3;
/** Nor more than this share of the file system, which is there for layers. */
const DISK_SHARE = 0.1;
/** Old parts are looked for at most this often, in ms. */
const SWEEP_INTERVAL_MS = 60_000;
const SUFFIX = '.part';
const PRIVATE_PREFIX = 'own-';

/** A file to download a blob into. Disposing of it deletes it, unless keep() was called. */
export interface Part extends AsyncDisposable {
  /** May exist already, with bytes of an earlier download. */
  readonly path: string;
  /** Disposing leaves the file for the next download of the blob. */
  keep(): void;
  /** Forgets what is there; the next download into it begins anew. */
  restart(): Promise<void>;
}

interface Kept {
  path: string;
  bytes: number;
  writtenAtMs: number;
}

export class PartStore implements Disposable {
  readonly #dir: string;
  readonly #limits: PartLimits;
  readonly #taken = new Set<string>();
  /** Taken before the last clear(): not kept whatever their takers say. */
  readonly #doomed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  /** `dir` is the store's own; what is there beyond the limits, or under no digest, is deleted. */
  constructor(dir: string, limits?: PartLimits) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#limits = limits ?? { files: FILES_LIMIT, bytes: Math.min(BYTES_LIMIT, DISK_SHARE * sizeOf(dir)), ageMs: AGE_LIMIT_MS };
    for (const name of readdirSync(dir)) {
      if (!isPartName(name)) rmSync(join(dir, name), { recursive: true, force: true });
    }
    for (const path of this.#excess()) rmSync(path, { force: true });
    this.#schedule();
  }

  /** The part of a blob. When another download has it, a file of the caller's own, which is not kept. */
  take(digest: Digest): Part {
    const shared = join(this.#dir, `${digest.slice('sha256:'.length)}${SUFFIX}`);
    const path = this.#taken.has(shared) ? join(this.#dir, `${PRIVATE_PREFIX}${randomUUID()}${SUFFIX}`) : shared;
    this.#taken.add(path);
    let kept = false;
    return {
      path,
      keep() {
        kept = path === shared;
      },
      async restart() {
        kept = false;
        await rm(path, { force: true });
      },
      [Symbol.asyncDispose]: async () => {
        const doomed = this.#doomed.delete(path);
        // Given back only after it is gone: the next taker must not write into what is being deleted.
        if (!kept || doomed) await remove([path]);
        this.#taken.delete(path);
        if (kept && !doomed) await this.#sweep();
      },
    };
  }

  /** Deletes all of it now, and what downloads under way leave behind later: for a full disk. */
  async clear(): Promise<void> {
    for (const path of this.#taken) this.#doomed.add(path);
    await remove(this.#kept().map((part) => part.path));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  async #sweep(): Promise<void> {
    await remove(this.#excess());
    this.#schedule();
  }

  /** Files that no download has now, oldest first. */
  #kept(): Kept[] {
    return readdirSync(this.#dir)
      .filter((name) => !this.#taken.has(join(this.#dir, name)))
      .flatMap((name) => {
        const path = join(this.#dir, name);
        const stat = statSync(path, { throwIfNoEntry: false });
        return stat === undefined ? [] : [{ path, bytes: stat.size, writtenAtMs: stat.mtimeMs }];
      })
      .toSorted((a, b) => a.writtenAtMs - b.writtenAtMs);
  }

  /** What is empty or too old, and the oldest of what is too much; the newest may be large while as much again is free. */
  #excess(): string[] {
    const oldestMs = Date.now() - this.#limits.ageMs;
    const kept = this.#kept();
    const good = kept.filter((part) => part.bytes > 0 && part.writtenAtMs > oldestMs);
    const excess = new Set(kept).difference(new Set(good));
    let bytes = good.reduce((total, part) => total + part.bytes, 0);
    for (const [at, part] of good.entries()) {
      const left = good.length - at;
      if (left <= this.#limits.files && (bytes <= this.#limits.bytes || (left === 1 && bytes <= freeOf(this.#dir)))) break;
      excess.add(part);
      bytes -= part.bytes;
    }
    return Array.from(excess, (part) => part.path);
  }

  /** Wakes when the oldest is too old; not at all when nothing is kept. */
  #schedule(): void {
    clearTimeout(this.#timer);
    const [oldest] = this.#kept();
    if (oldest === undefined) return;
    const dueInMs = oldest.writtenAtMs + this.#limits.ageMs - Date.now();
    this.#timer = setTimeout(() => void this.#sweep(), Math.max(SWEEP_INTERVAL_MS, dueInMs)).unref();
  }
}

function isPartName(name: string): boolean {
  return name.endsWith(SUFFIX) && isDigest(`sha256:${name.slice(0, -SUFFIX.length)}`);
}

/** Deletes files; one that cannot be deleted now is found again by the next sweep or start. */
async function remove(paths: readonly string[]): Promise<void> {
  await Promise.allSettled(paths.map((path) => rm(path, { force: true })));
}

function sizeOf(dir: string): number {
  const { blocks, bsize } = statfsSync(dir);
  return blocks * bsize;
}

function freeOf(dir: string): number {
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize;
}
