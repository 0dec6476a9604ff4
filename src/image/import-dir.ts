/**
 * The import directory, for nodes without a registry: when the daemon starts,
 * the archives in it are loaded in order of their names and their images
 * pinned. A pull that comes meanwhile waits, since the image it wants may be
 * the next one to come. What was loaded before, has not changed and is still
 * on the node is not read again; a broken archive is told in the log and
 * holds up nothing.
 */
import type { BigIntStats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { abortable } from '../async/index.ts';
import { asRuntimeError, errnoOf } from '../errors/index.ts';
import type { ImageId } from '../ids/index.ts';
import type { Logger } from '../log/index.ts';
import { digestNameOf, formatReference, type Reference } from '../registry/index.ts';
import type { Table } from '../store/index.ts';
import type { Catalog } from './catalog.ts';
import type { LoadedImage } from './types.ts';

/** The row of an archive that was loaded whole; its key is the path. */
export interface ImportRecord {
  /** Of the archive's file, or of a directory's index. */
  size: bigint;
  mtimeNs: bigint;
  inode: bigint;
  images: ImageId[];
}

/** What importing works with. */
export interface ImportOptions {
  /** May be absent. */
  dir: string;
  table: Table<ImportRecord>;
  catalog: Pick<Catalog, 'find'>;
  load: (path: string, signal: AbortSignal) => Promise<LoadedImage[]>;
  logger: Logger;
}

/** Archives in the directory; more than any node has. */
const ENTRIES_LIMIT = 10_000;
const ARCHIVE_NAME = /\.(tar|tar\.gz|tgz|tar\.zst)$/;
/** What makes a directory one that can be loaded: the index of an OCI layout, the manifest of a skopeo directory. */
const DIRECTORY_INDEXES = ['index.json', 'manifest.json'];

/** One pass over the directory. */
interface Pass {
  /** Names that it brought so far. */
  readonly brought: Map<string, ImageId>;
  isOver: boolean;
  /** Resolved when the next archive is done, and exchanged. */
  step: PromiseWithResolvers<void>;
}

export class ImportDirectory {
  readonly #options: ImportOptions;
  /** The pass under way. */
  #pass: Pass | undefined;

  constructor(options: ImportOptions) {
    this.#options = options;
  }

  /** Loads what is there; resolves when all was tried. Never rejects. */
  async begin(signal: AbortSignal): Promise<void> {
    const pass: Pass = { brought: new Map(), isOver: false, step: Promise.withResolvers() };
    this.#pass = pass;
    try {
      await this.#run(pass, signal);
    } catch (error) {
      const { reason, message } = asRuntimeError(error);
      this.#options.logger.warn({ dir: this.#options.dir, reason, message }, 'the import directory cannot be read');
    } finally {
      this.#pass = undefined;
      pass.isOver = true;
      pass.step.resolve();
    }
  }

  /** The image of `reference` when the pass under way brings it; waits until that is known. */
  async brought(reference: Reference, signal: AbortSignal): Promise<ImageId | undefined> {
    const name = reference.digest === undefined ? formatReference(reference) : digestNameOf(reference, reference.digest);
    const pass = this.#pass;
    while (pass !== undefined) {
      const id = pass.brought.get(name);
      if (id !== undefined && this.#options.catalog.find(name)?.id === id) return id;
      if (pass.isOver) return undefined;
      await abortable(pass.step.promise, signal);
    }
    return undefined;
  }

  async #run(pass: Pass, signal: AbortSignal): Promise<void> {
    const paths = await this.#archives();
    for (const path of paths) {
      if (signal.aborted) return;
      await this.#import(path, pass, signal);
      pass.step.resolve();
      pass.step = Promise.withResolvers();
    }
    const present = new Set(paths);
    for (const { id } of this.#options.table.all()) {
      if (!present.has(id)) this.#options.table.delete(id);
    }
  }

  async #archives(): Promise<string[]> {
    const { dir, logger } = this.#options;
    let names: string[];
    try {
      names = await readdir(dir);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    }
    const archives = names.filter((name) => !name.startsWith('.')).toSorted((a, b) => (a < b ? -1 : 1));
    if (archives.length > ENTRIES_LIMIT)
      logger.warn({ dir, limit: ENTRIES_LIMIT }, 'the import directory has too many entries; only the first are looked at');
    return archives.slice(0, ENTRIES_LIMIT).map((name) => join(dir, name));
  }

  async #import(path: string, pass: Pass, signal: AbortSignal): Promise<void> {
    const { table, catalog, load, logger } = this.#options;
    try {
      const facts = await factsOf(path);
      if (facts === undefined) return;
      const before = table.get(path);
      const same = before !== undefined && before.size === facts.size && before.mtimeNs === facts.mtimeNs && before.inode === facts.inode;
      if (same && before.images.every((id) => catalog.find(id) !== undefined)) return;
      const images = await load(path, signal);
      for (const { id, names } of images) for (const name of names) pass.brought.set(name, id);
      table.put(path, { ...facts, images: images.map(({ id }) => id) });
      logger.info({ path, images }, 'archive imported');
    } catch (error) {
      if (signal.aborted) return;
      const { reason, message } = asRuntimeError(error);
      logger.warn({ path, reason, message }, 'archive not imported');
    }
  }
}

/** What tells a changed archive from an unchanged one; undefined for what is no archive. */
async function factsOf(path: string): Promise<Omit<ImportRecord, 'images'> | undefined> {
  const what = await stat(path, { bigint: true });
  if (what.isFile()) return ARCHIVE_NAME.test(path) ? factsFrom(what) : undefined;
  for (const index of what.isDirectory() ? DIRECTORY_INDEXES : []) {
    const file = await stat(join(path, index), { bigint: true }).catch(() => undefined); // absent: it is of another kind
    if (file !== undefined) return factsFrom(file);
  }
  return undefined;
}

const factsFrom = ({ size, mtimeNs, ino }: BigIntStats): Omit<ImportRecord, 'images'> => ({ size, mtimeNs, inode: ino });
