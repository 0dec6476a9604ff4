/**
 * The tar split of a layer that no tar was unpacked into: the fix-up of an
 * image, the files of an artifact. The tar is the one berth would write of
 * the directory, so that these layers are verified as all others are. Runs
 * in a worker.
 */
import { createHash, type Hash } from 'node:crypto';
import { type BigIntStats, closeSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { endOfArchive, type Member, memberHeader, padding } from '../tar/index.ts';
import { fullPath, LayerTree, type Located, statLocated } from './layer-tree.ts';
import { SplitWriter, stagedSplit } from './split.ts';
import { layerXattrs } from './xattrs.ts';

const READ_BYTES = 256 * 1024;
const NS_PER_S = 1_000_000_000n;

/** Writes the split beside `dir` and returns digest and length of the tar it stands for. Nobody else may write to `dir`. */
export function splitTree(dir: string): { digest: string; tarBytes: number } {
  using split = new SplitWriter(stagedSplit(dir));
  using tree = new LayerTree(dir);
  const splitter = new TreeSplitter(tree, split);
  splitter.enter('');
  return splitter.finish();
}

class TreeSplitter {
  readonly #tree: LayerTree;
  readonly #split: SplitWriter;
  readonly #hash: Hash = createHash('sha256');
  readonly #buffer = Buffer.alloc(READ_BYTES);
  /** First name of each file that has several. */
  readonly #linked = new Map<bigint, string>();
  #tarBytes = 0;

  constructor(tree: LayerTree, split: SplitWriter) {
    this.#tree = tree;
    this.#split = split;
  }

  /** `path` (one character a byte) and, by name, everything below it. */
  enter(path: string): void {
    const located = this.#tree.locate(path);
    const [full, stat] = [fullPath(located), statLocated(located)];
    if (full === undefined || stat === undefined) return; // it was listed a moment ago, and is nobody else's
    const member = this.#memberOf(located, { path, full, stat });
    this.#raw(memberHeader(member));
    if (member.size > 0) {
      this.#content(path);
      this.#raw(padding(member.size));
    }
    if (!stat.isDirectory()) return;
    const names = readdirSync(full, { encoding: 'latin1' }).sort();
    for (const name of names) this.enter(path === '' ? name : `${path}/${name}`);
  }

  finish(): { digest: string; tarBytes: number } {
    this.#raw(endOfArchive());
    this.#split.finish();
    return { digest: `sha256:${this.#hash.digest('hex')}`, tarBytes: this.#tarBytes };
  }

  #memberOf({ dirFd, name }: Located, { path, full, stat }: { path: string; full: Buffer; stat: BigIntStats }): Member {
    const first = stat.isDirectory() ? undefined : this.#linked.get(stat.ino);
    if (first === undefined && stat.nlink > 1n) this.#linked.set(stat.ino, path);
    const type = first === undefined ? typeOf(stat) : 'hardlink';
    const target = type === 'symlink' ? readlinkSync(full, 'latin1') : (first ?? '');
    const size = type === 'file' ? Number(stat.size) : 0;
    const device = type === 'char' || type === 'block' ? stat.rdev : 0n;
    return {
      path: (type === 'directory' ? `${path === '' ? '.' : path}/` : path) as Member['path'],
      type,
      linkPath: target as Member['linkPath'],
      mode: Number(stat.mode) & 0o7777,
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      size,
      storedBytes: size,
      mtime: timestampOf(stat.mtimeNs),
      deviceMajor: major(device),
      deviceMinor: minor(device),
      xattrs: dirFd === undefined ? new Map() : layerXattrs(dirFd, name),
    };
  }

  #content(path: string): void {
    const fd = this.#tree.openFile(path);
    try {
      for (let read = readSync(fd, this.#buffer); read > 0; read = readSync(fd, this.#buffer)) {
        const piece = this.#buffer.subarray(0, read);
        this.#count(piece);
        this.#split.content(piece);
      }
    } finally {
      closeSync(fd);
    }
    this.#split.endContent();
  }

  #raw(bytes: Buffer): void {
    this.#count(bytes);
    this.#split.raw(bytes);
  }

  #count(bytes: Buffer): void {
    this.#hash.update(bytes);
    this.#tarBytes += bytes.length;
  }
}

function typeOf(stat: BigIntStats): Member['type'] {
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFIFO()) return 'fifo';
  if (stat.isCharacterDevice()) return 'char';
  return stat.isBlockDevice() ? 'block' : 'file';
}

/** gnu_dev_major(3) and gnu_dev_minor(3), of numbers the kernel has. */
const major = (device: bigint): number => Number((device >> 8n) & 0xfffn);
const minor = (device: bigint): number => Number((device & 0xffn) | ((device >> 12n) & 0xfff00n));

/** The kernel's form: the fraction is always positive. */
function timestampOf(ns: bigint): Member['mtime'] {
  const nanoseconds = ((ns % NS_PER_S) + NS_PER_S) % NS_PER_S;
  return { seconds: Number((ns - nanoseconds) / NS_PER_S), nanoseconds: Number(nanoseconds) };
}
