/**
 * The layers of an image as an overlay of them shows them, looked at without
 * mounting one: what a path is, in which layer, and what hides it. Invariant:
 * layers do not change, so what was found is kept; no symlink of a layer is
 * ever followed by the kernel, they are resolved here, within the stack.
 */
import { constants } from 'node:fs';
import { errnoOf } from '../errors/index.ts';
import { closeFd, type FileStat, hasXattrAt, openRoot, statAt } from '../sys/index.ts';
import { inParent, parentOf, readLinkAt } from './in-parent.ts';
import type { LowerLink } from './layer-content.ts';
import { linkedNames } from './linked-names.ts';
import { OPAQUE } from './whiteout.ts';

/** One layer of the image. Paths have one character a byte. */
export interface FixupLayer {
  dir: string;
  /** A set, since each path is looked up in each layer. */
  implied: ReadonlySet<string>;
  lowerLinks: readonly LowerLink[];
  opaqueRoot: boolean;
}

/** What one layer says of a path: nothing, that there is nothing, or what it has. */
type Finding =
  | { kind: 'absent' }
  | { kind: 'hides' }
  | { kind: 'directory'; stat: FileStat; opaque: boolean }
  | { kind: 'file'; stat: FileStat };

/** What the layers from one on show at a path: something of a layer, or a link that is still to be made. */
export type Shown = { layer: number; stat: FileStat } | { layer: number; target: string };

/** A file of one layer. */
export interface Source {
  layer: number;
  path: string;
  stat: FileStat;
}

/** Symlinks on the way of one path, as the kernel has it (path_resolution(7)). */
const SYMLINKS_LIMIT = 40;
/** Findings kept; more are looked up again. */
const FINDINGS_LIMIT = 200_000;

export class LayerStack implements Disposable {
  readonly layers: readonly FixupLayer[];
  readonly #roots = new Map<number, number>();
  readonly #links: readonly ReadonlyMap<string, string>[];
  readonly #findings = new Map<string, Finding>();
  readonly #names = new Map<number, ReadonlyMap<bigint, string[]>>();

  /** `layers` are topmost first. */
  constructor(layers: readonly FixupLayer[]) {
    this.layers = layers;
    this.#links = layers.map(({ lowerLinks }) => new Map(lowerLinks.map(({ path, target }) => [path, target])));
  }

  /** What the layers from `from` on down show at `path`; undefined when that is nothing. */
  shownAt(path: string, from: number): Shown | undefined {
    for (let layer = from; layer < this.layers.length; layer += 1) {
      const target = this.#links[layer]?.get(path);
      if (target !== undefined) return { layer, target };
      const finding = this.#lookUp(layer, path);
      if (finding.kind === 'hides') return undefined;
      if (finding.kind !== 'absent') return { layer, stat: finding.stat };
      if (this.layers[layer]?.opaqueRoot === true) return undefined;
    }
    return undefined;
  }

  /** What the overlay would show of a directory, and what the topmost layer that really holds it says; both the same when none does. */
  directoryAt(path: string): { shown: Source; said: Source } | undefined {
    let shown: Source | undefined;
    for (let layer = 0; layer < this.layers.length; layer += 1) {
      const finding = this.#lookUp(layer, path);
      if (finding.kind === 'hides' || finding.kind === 'file') break;
      if (finding.kind === 'directory') {
        const here = { layer, path, stat: finding.stat };
        shown ??= here;
        if (this.layers[layer]?.implied.has(path) !== true) return { shown, said: here };
        if (finding.opaque) break;
      }
      if (this.layers[layer]?.opaqueRoot === true) break;
    }
    return shown === undefined ? undefined : { shown, said: shown };
  }

  /** The file that a hard link to `target`, made above layer `from`, is a link to; undefined when there is none, or a directory. */
  sourceOf(target: string, from: number): Source | undefined {
    const path = this.#canonical(target, from);
    const shown = path === undefined ? undefined : this.shownAt(path, from);
    if (path === undefined || shown === undefined) return undefined;
    if ('target' in shown) return this.sourceOf(shown.target, shown.layer + 1);
    return shown.stat.type === constants.S_IFDIR ? undefined : { layer: shown.layer, path, stat: shown.stat };
  }

  /** Every name that the overlay shows of a file of one layer. */
  namesOf({ layer, path, stat }: Source): string[] {
    const names = stat.links === 1 ? [path] : (this.#linkedNames(layer).get(stat.inode) ?? [path]);
    return names.filter((name) => this.shownAt(name, 0)?.layer === layer);
  }

  /** Opens the directory that holds `path` in a layer, calls `use` with it and the name, and closes it. */
  within<T>({ layer, path }: Pick<Source, 'layer' | 'path'>, use: (dirFd: number, name: string) => T): T {
    return inParent(this.#root(layer), path, use);
  }

  [Symbol.dispose](): void {
    for (const fd of this.#roots.values()) closeFd(fd);
    this.#roots.clear();
  }

  /** `path` with the symlinks on the way to its last name resolved as the layers from `from` on show them. */
  #canonical(path: string, from: number): string | undefined {
    const pending = path.split('/').reverse();
    const done: string[] = [];
    for (let symlinks = 0; pending.length > 0; ) {
      const name = pending.pop() ?? '';
      if (name === '' || name === '.') continue;
      if (name === '..') {
        done.pop();
        continue;
      }
      done.push(name);
      if (pending.length === 0) break;
      const shown = this.shownAt(done.join('/'), from);
      if (shown === undefined || 'target' in shown) return undefined;
      if (shown.stat.type === constants.S_IFDIR) continue;
      symlinks += 1;
      if (shown.stat.type !== constants.S_IFLNK || symlinks > SYMLINKS_LIMIT) return undefined;
      const link = this.within({ layer: shown.layer, path: done.join('/') }, readLinkAt);
      done.pop();
      if (link.startsWith('/')) done.length = 0;
      pending.push(...link.split('/').reverse());
    }
    return done.join('/');
  }

  #linkedNames(layer: number): ReadonlyMap<bigint, string[]> {
    const names = this.#names.get(layer) ?? linkedNames(this.#root(layer));
    this.#names.set(layer, names);
    return names;
  }

  #lookUp(layer: number, path: string): Finding {
    const key = `${layer}/${path}`;
    const known = this.#findings.get(key);
    if (known !== undefined) return known;
    const finding = this.#look(layer, path);
    if (this.#findings.size >= FINDINGS_LIMIT) this.#findings.clear();
    this.#findings.set(key, finding);
    return finding;
  }

  #look(layer: number, path: string): Finding {
    if (path === '') return { kind: 'directory', stat: statAt(this.#root(layer), '.'), opaque: false };
    const parent = this.#lookUp(layer, parentOf(path).parent);
    if (parent.kind === 'file') return { kind: 'hides' };
    if (parent.kind !== 'directory') return parent;
    return this.within({ layer, path }, (dirFd, name) => {
      const stat = statOrAbsent(dirFd, name);
      if (stat === undefined) return { kind: parent.opaque ? 'hides' : 'absent' };
      if (stat.type === constants.S_IFDIR)
        return { kind: 'directory', stat, opaque: parent.opaque || hasXattrAt(dirFd, name, OPAQUE.name) };
      return isWhiteout(stat) ? { kind: 'hides' } : { kind: 'file', stat };
    });
  }

  #root(layer: number): number {
    const open = this.#roots.get(layer);
    if (open !== undefined) return open;
    const fd = openRoot(this.layers[layer]?.dir ?? '');
    this.#roots.set(layer, fd);
    return fd;
  }
}

function statOrAbsent(dirFd: number, name: string): FileStat | undefined {
  try {
    return statAt(dirFd, name);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const isWhiteout = ({ type, deviceMajor, deviceMinor }: FileStat): boolean =>
  type === constants.S_IFCHR && deviceMajor === 0 && deviceMinor === 0;
