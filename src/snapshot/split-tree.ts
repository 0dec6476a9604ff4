/**
 * The tar split of a layer that no tar was unpacked into: the fix-up of an
 * image, the files of an artifact. The tar is the one berth would write of
 * the directory, so that these layers are verified as all others are. Runs
 * in a worker.
 */
import { createHash, type Hash } from 'node:crypto';
import { type BigIntStats, closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { endOfArchive, type Member, memberHeader, padding } from '../tar/index.ts';
import { SplitWriter, stagedSplit } from './split.ts';
import { xattrsOf } from './xattrs.ts';

const READ_BYTES = 256 * 1024;
const NS_PER_S = 1_000_000_000n;

/** Writes the split beside `dir` and returns digest and length of the tar it stands for. Directories, files and symlinks only. */
export function splitTree(dir: string): { digest: string; tarBytes: number } {
  using split = new SplitWriter(stagedSplit(dir));
  const tree = new TreeSplitter(split);
  tree.enter(Buffer.from(dir), '');
  return tree.finish();
}

class TreeSplitter {
  readonly #split: SplitWriter;
  readonly #hash: Hash = createHash('sha256');
  #tarBytes = 0;
  readonly #buffer = Buffer.alloc(READ_BYTES);
  /** First name of each file that has several. */
  readonly #linked = new Map<bigint, string>();

  constructor(split: SplitWriter) {
    this.#split = split;
  }

  /** `full` and, by name, everything below it. */
  enter(full: Buffer, path: string): void {
    const stat = lstatSync(full, { bigint: true });
    const member = this.#memberOf(full, path, stat);
    this.#raw(memberHeader(member));
    if (member.type === 'file' && member.size > 0) {
      this.#content(full);
      this.#raw(padding(member.size));
    }
    if (!stat.isDirectory()) return;
    const names = readdirSync(full, { encoding: 'latin1' }).sort();
    for (const name of names) this.enter(Buffer.concat([full, Buffer.from(`/${name}`, 'latin1')]), path === '' ? name : `${path}/${name}`);
  }

  finish(): { digest: string; tarBytes: number } {
    this.#raw(endOfArchive());
    this.#split.finish();
    return { digest: `sha256:${this.#hash.digest('hex')}`, tarBytes: this.#tarBytes };
  }

  #memberOf(full: Buffer, path: string, stat: BigIntStats): Member {
    const first = stat.nlink > 1n && stat.isFile() ? this.#linked.get(stat.ino) : undefined;
    if (stat.isFile() && stat.nlink > 1n && first === undefined) this.#linked.set(stat.ino, path);
    const type = stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : first === undefined ? 'file' : 'hardlink';
    const target = type === 'symlink' ? readlinkSync(full, 'latin1') : (first ?? '');
    return {
      path: (type === 'directory' ? `${path === '' ? '.' : path}/` : path) as Member['path'],
      type,
      linkPath: target as Member['linkPath'],
      mode: Number(stat.mode) & 0o7777,
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      size: type === 'file' ? Number(stat.size) : 0,
      mtime: secondsOf(stat.mtimeNs),
      deviceMajor: 0,
      deviceMinor: 0,
      xattrs: xattrsOf(full),
    };
  }

  #content(full: Buffer): void {
    const fd = openSync(full, 'r');
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

/** The kernel's form: the fraction is always positive. */
function secondsOf(ns: bigint): Member['mtime'] {
  const nanoseconds = ((ns % NS_PER_S) + NS_PER_S) % NS_PER_S;
  return { seconds: (ns - nanoseconds) / NS_PER_S, nanoseconds: Number(nanoseconds) };
}
