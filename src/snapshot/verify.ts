/**
 * Is a layer on disk what was unpacked? Its tar is reassembled from the
 * directory and the split: the digest tells whether all contents are right,
 * each member's metadata is compared with what lies there, and a walk finds
 * what is there beyond. Runs in a worker; reads every byte of the layer.
 */
import { createHash } from 'node:crypto';
import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { errnoOf, isRuntimeError, messageOf } from '../errors/index.ts';
import { type Member, printable } from '../tar/index.ts';
import { LayerPlan } from './layer-plan.ts';
import { fullPath, LayerTree, statLocated } from './layer-tree.ts';
import { reassemble } from './reassemble.ts';
import { compareXattrs } from './xattrs.ts';

/** What to verify. */
export interface VerifyOptions {
  /** The layer's directory. */
  dir: string;
  /** Its tar split. */
  split: string;
  /** Digest of its tar. */
  tarDigest: string;
}

/** More damaged files than this say no more than these, and are no more work to repair. */
const PROBLEMS_LIMIT = 50;
const NS_PER_S = 1_000_000_000n;
const SYMLINK_MODE = 0o777;

/** One sentence a damaged file, bounded; none when the layer is whole. Throws what the disk says beyond a single file. */
export function verifyLayer({ dir, split, tarDigest }: VerifyOptions): string[] {
  const problems = new Problems();
  try {
    using tree = new LayerTree(dir);
    const plan = LayerPlan.of(tree, split);
    const comparison = new Comparison(tree, plan, problems);
    const mustBeThere = plan.again();
    let isThere = false;
    const tar = reassemble({
      tree,
      split,
      onMember(member) {
        isThere = mustBeThere(member);
        if (isThere) comparison.member(member);
      },
      isKept: () => isThere,
      onDamage: (member, why) => problems.add(member.path, why),
    });
    const hash = createHash('sha256');
    for (const piece of tar) hash.update(piece);
    comparison.rest(dir);
    const digest = `sha256:${hash.digest('hex')}`;
    if (digest !== tarDigest && problems.list.length === 0 && plan.lost.size === 0) problems.add('', `its digest is ${digest}`);
  } catch (error) {
    if (isRuntimeError(error, 'IMAGE_LAYER')) problems.add('', error.message);
    else if (errnoOf(error) === 'ENOENT') problems.add('', `its directory or its tar split is missing (${messageOf(error)})`);
    else throw error;
  }
  return problems.list;
}

class Problems {
  readonly list: string[] = [];

  /** `path` has one character a byte; '' is the layer as a whole. */
  add(path: string, why: string): void {
    if (this.list.length < PROBLEMS_LIMIT) this.list.push(path === '' ? why : `${printable(path)}: ${why}`);
  }
}

/** The directory, compared with the plan. */
class Comparison {
  readonly #tree: LayerTree;
  readonly #plan: LayerPlan;
  readonly #problems: Problems;

  constructor(tree: LayerTree, plan: LayerPlan, problems: Problems) {
    this.#tree = tree;
    this.#plan = plan;
    this.#problems = problems;
  }

  /** Everything of a member but its content. */
  member(member: Member): void {
    if (this.#isElsewhere(member)) return;
    const located = this.#tree.locate(member.path);
    const { path, dirFd, name } = located;
    const [stat, full] = [statLocated(located), fullPath(located)];
    if (stat === undefined || full === undefined || dirFd === undefined) {
      this.#problems.add(path, 'it is missing');
      return;
    }
    for (const why of differences(member, stat)) this.#problems.add(path, why);
    if (member.type === 'symlink' && stat.isSymbolicLink() && readlinkSync(full, 'latin1') !== member.linkPath)
      this.#problems.add(path, 'it points elsewhere');
    if (member.type === 'hardlink') this.#link(member, { path, inode: stat.ino });
    else for (const why of compareXattrs(dirFd, name, member)) this.#problems.add(path, why);
  }

  /** Whiteouts, and what the archive does not know. */
  rest(dir: string): void {
    const { last, parents, whiteouts } = this.#plan;
    const root = Buffer.from(dir);
    const fullOf = (path: string): Buffer => (path === '' ? root : Buffer.concat([root, Buffer.from(`/${path}`, 'latin1')]));
    for (const path of whiteouts) {
      if (last.has(path) || this.#plan.mayBeGone(path)) continue;
      const stat = lstatSync(fullOf(path), { throwIfNoEntry: false });
      if (stat?.isCharacterDevice() !== true || stat.rdev !== 0) this.#problems.add(path, 'it is no whiteout any more');
    }
    const pending = [''];
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      for (const entry of readdirSync(fullOf(at), { withFileTypes: true, encoding: 'buffer' })) {
        const name = entry.name.toString('latin1');
        const path = at === '' ? name : `${at}/${name}`;
        // Where members replaced others, a symlink that is gone may have led here.
        const known = last.has(path) || parents.has(path) || whiteouts.has(path) || this.#plan.replaced.size > 0;
        if (!known) this.#problems.add(path, 'it is not of the layer');
        else if (entry.isDirectory()) pending.push(path);
      }
    }
  }

  /** A link to a file of a lower layer stands in the image's fix-up layer. */
  #isElsewhere(member: Member): boolean {
    return member.type === 'hardlink' && !this.#plan.last.has(this.#tree.locate(member.linkPath).path);
  }

  #link(member: Member, link: { path: string; inode: bigint }): void {
    const target = this.#tree.locate(member.linkPath);
    if (this.#plan.replaced.has(target.path)) return; // the link keeps what stood there before
    if (statLocated(target)?.ino !== link.inode) this.#problems.add(link.path, `it is no longer linked to ${printable(target.path)}`);
  }
}

const IS_TYPE: Readonly<Record<Member['type'], (stat: BigIntStats) => boolean>> = {
  file: (stat) => stat.isFile(),
  hardlink: () => true, // of whatever its target is
  symlink: (stat) => stat.isSymbolicLink(),
  char: (stat) => stat.isCharacterDevice(),
  block: (stat) => stat.isBlockDevice(),
  directory: (stat) => stat.isDirectory(),
  fifo: (stat) => stat.isFIFO(),
};

function* differences(member: Member, stat: BigIntStats): Generator<string> {
  if (!IS_TYPE[member.type](stat)) {
    yield `it is no ${member.type} any more`;
    return;
  }
  if (member.type === 'hardlink') return; // its target's entry says the rest
  const mode = Number(stat.mode) & 0o7777;
  const wanted = member.type === 'symlink' ? SYMLINK_MODE : member.mode;
  if (mode !== wanted) yield `its mode is ${mode.toString(8)}, not ${wanted.toString(8)}`;
  if (Number(stat.uid) !== member.uid || Number(stat.gid) !== member.gid)
    yield `its owner is ${stat.uid}:${stat.gid}, not ${member.uid}:${member.gid}`;
  if (stat.mtimeNs !== BigInt(member.mtime.seconds) * NS_PER_S + BigInt(member.mtime.nanoseconds)) yield 'its modification time is another';
  if (member.type === 'file' && stat.size !== BigInt(member.size)) yield `its size is ${stat.size}, not ${member.size} bytes`;
}
