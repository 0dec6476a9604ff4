/**
 * What a layer's archive said that is needed again when all of it was read:
 * modes and times of directories (writing into one changes them), which
 * directories were only implied, which hard links lead to lower layers. By
 * canonical path. What was replaced later is not taken out, since a hostile
 * archive makes that expensive: whoever reads the ledger looks whether the
 * path still is what it was. Invariant: what it keeps is bounded, for a few
 * bytes of an archive name as many directories as a path has slashes.
 */
import { layerError, type Member } from '../tar/index.ts';
import type { LowerLink } from './layer-content.ts';

/** What a directory gets last. */
export type DirectoryEnd = Pick<Member, 'mode' | 'mtime'> & {
  /** Its default ACL, which files made in it would inherit. */
  defaultAcl?: Buffer;
};

/** Memory of the worker for all of it: some 500,000 directories. */
const LEDGER_LIMIT_BYTES = 128 * 1024 * 1024;
/** A map's entry beside its key, roughly. */
const ENTRY_BYTES = 128;
/** Names that become part of the layer's record, which is in memory as long as the layer exists: some 50,000. */
const RECORD_LIMIT_BYTES = 4 * 1024 * 1024;
/** Hard links to lower layers: each is looked up in each of them, when the image is put together. */
const LOWER_LINKS_LIMIT = 10_000;

export class Ledger {
  readonly #directories = new Map<string, DirectoryEnd>();
  readonly #implied = new Set<string>();
  readonly #lowerLinks = new Map<string, string>();
  #bytes = 0;
  #recordBytes = 0;

  /** The archive holds the directory `path`. */
  explicit(path: string, end: DirectoryEnd): void {
    if (!this.#directories.has(path)) this.#charge(path.length + (end.defaultAcl?.length ?? 0));
    this.#directories.set(path, end);
    this.#implied.delete(path);
  }

  /** The archive implied the directory `path`, which was made; what it said of an earlier one there is void. */
  imply(path: string): void {
    if (!this.#implied.has(path)) this.#chargeRecord(path.length);
    this.#implied.add(path);
    this.#directories.delete(path);
  }

  /** `path` is to be a hard link to what a lower layer has as `target`. */
  link(path: string, target: string): void {
    if (!this.#lowerLinks.has(path)) this.#chargeRecord(path.length);
    this.#chargeRecord(target.length);
    this.#lowerLinks.set(path, target);
    if (this.#lowerLinks.size > LOWER_LINKS_LIMIT) throw layerError(`it has more than ${LOWER_LINKS_LIMIT} hard links to lower layers`);
  }

  /** What `path` is to be a link to. */
  linkTarget(path: string): string | undefined {
    return this.#lowerLinks.get(path);
  }

  /** `path` is something else now. */
  unlink(path: string): void {
    this.#lowerLinks.delete(path);
  }

  /** Directories that the archive held, deepest first. */
  directories(): [string, DirectoryEnd][] {
    return [...this.#directories].sort(([a], [b]) => depthOf(b) - depthOf(a));
  }

  implied(): string[] {
    return [...this.#implied];
  }

  lowerLinks(): LowerLink[] {
    return [...this.#lowerLinks].map(([path, target]) => ({ path, target }));
  }

  #charge(bytes: number): void {
    this.#bytes += bytes + ENTRY_BYTES;
    if (this.#bytes > LEDGER_LIMIT_BYTES) throw layerError(`the names of its directories take more than ${LEDGER_LIMIT_BYTES} bytes`);
  }

  #chargeRecord(bytes: number): void {
    this.#recordBytes += bytes;
    const what = 'the names of directories that it implies, and of links to lower layers,';
    if (this.#recordBytes > RECORD_LIMIT_BYTES) throw layerError(`${what} take more than ${RECORD_LIMIT_BYTES} bytes`);
  }
}

/** Slashes, and one more for anything but the root. */
function depthOf(path: string): number {
  let depth = path === '' ? 0 : 1;
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) depth += 1;
  return depth;
}
