/**
 * What a layer's archive as a whole puts where: a later member of a name
 * replaces an earlier one, and a file that takes the place of a directory
 * takes what was below it along. Made from the headers in the layer's split.
 * Paths are those of the tree (layer-tree.ts).
 */
import { type Member, splitPath } from '../tar/index.ts';
import type { LayerTree } from './layer-tree.ts';
import { reassemble } from './reassemble.ts';
import { parseWhiteout } from './whiteout.ts';

/** The last member of a path. */
interface Planned {
  type: Member['type'];
  /** Which member of the archive it is, from 0. */
  number: number;
  /** Bytes of its content. */
  bytes: number;
}

export class LayerPlan {
  readonly last = new Map<string, Planned>();
  /** Paths at which a member replaced another, and not both were directories. */
  readonly replaced = new Set<string>();
  /** Files whose content the archive had and the directory has not, since a later member took their place. */
  readonly lost = new Set<string>();
  readonly whiteouts = new Set<string>();
  /** Directories that something is in. */
  readonly parents = new Set<string>();
  readonly #tree: LayerTree;
  #count = 0;

  private constructor(tree: LayerTree) {
    this.#tree = tree;
  }

  /** Reads the headers in `split`. Throws IMAGE_LAYER when that is damaged. */
  static of(tree: LayerTree, split: string): LayerPlan {
    const plan = new LayerPlan(tree);
    const headers = reassemble({ tree, split, onMember: (member) => plan.#enter(member), isKept: () => false, onDamage() {} });
    for (const _ of headers); // no content is read: zeros stand in for it
    return plan;
  }

  /** Walks the members once more, in the same order; tells of each whether it must be there: no later one took its place. */
  again(): (member: Member) => boolean {
    let count = 0;
    return (member) => {
      count += 1;
      const { path } = this.#tree.locate(member.path);
      return this.last.get(path)?.number === count - 1 && !this.mayBeGone(path);
    };
  }

  /** Something on the way to `path` was replaced, so that it may be gone. */
  mayBeGone(path: string): boolean {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) if (this.replaced.has(path.slice(0, at))) return true;
    return false;
  }

  #enter(member: Member): void {
    const number = this.#count;
    this.#count += 1;
    const { path } = this.#tree.locate(member.path);
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      if (this.parents.has(path.slice(0, at))) break;
      this.parents.add(path.slice(0, at));
    }
    const name = splitPath(path).at(-1);
    const whiteout = name === undefined ? undefined : parseWhiteout(name);
    if (whiteout?.kind === 'remove') this.whiteouts.add(path.slice(0, path.length - (name?.length ?? 0)) + whiteout.name);
    if (whiteout !== undefined) {
      if (member.storedBytes > 0) this.lost.add(path);
      return;
    }
    const before = this.last.get(path);
    const wasThere = before?.type ?? (this.parents.has(path) ? 'directory' : undefined);
    if (wasThere !== undefined && (wasThere !== 'directory' || member.type !== 'directory')) this.replaced.add(path);
    if (before !== undefined && before.bytes > 0) this.lost.add(path);
    this.last.set(path, { type: member.type, number, bytes: member.storedBytes });
  }
}
