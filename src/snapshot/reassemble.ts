/**
 * A layer's tar again, from its directory and its tar split: the split gives
 * everything but the contents of files, the directory gives those. Runs in a
 * worker. What the directory no longer has as it was is told to the caller,
 * and zeros stand in for it, so that one damaged file does not hide another.
 */
import { closeSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { errnoOf } from '../errors/index.ts';
import { type Member, TarWalker } from '../tar/index.ts';
import type { LayerTree } from './layer-tree.ts';
import { readSplit } from './split.ts';

/** What to reassemble, and whom to tell. */
export interface ReassembleOptions {
  tree: LayerTree;
  /** The layer's split. */
  split: string;
  /** Each member, before its content. */
  onMember?: (member: Member) => void;
  /** False for a content that is not to be looked for; zeros stand in for it and are not damage. */
  isKept?: (member: Member) => boolean;
  /** The content of a member is not what it was; a throw ends the work. */
  onDamage: (member: Member, why: string) => void;
}

/** Read at once, in bytes. */
const READ_BYTES = 256 * 1024;

/** Yields the tar's bytes, each piece valid until the next is asked for. Throws IMAGE_LAYER for a damaged split. */
export function* reassemble(options: ReassembleOptions): Generator<Buffer> {
  let current: Member | undefined;
  const walker = new TarWalker({
    begin(member) {
      current = member;
      options.onMember?.(member);
    },
    data() {},
    end() {},
  });
  const buffer = Buffer.alloc(READ_BYTES);
  for (const record of readSplit(options.split)) {
    if (record.kind === 'raw') {
      walker.push(record.bytes);
      yield record.bytes;
      continue;
    }
    if (current === undefined) continue; // the walker throws at the end: the split begins in the middle
    for (const piece of contentOf({ options, buffer }, current, record)) {
      walker.push(piece);
      yield piece;
    }
  }
  walker.finish();
}

interface Reading {
  readonly options: ReassembleOptions;
  readonly buffer: Buffer;
}

/** Exactly `expected.bytes` bytes, whatever the file holds. */
function* contentOf({ options, buffer }: Reading, member: Member, expected: { bytes: number; crc: number }): Generator<Buffer> {
  const fd = (options.isKept?.(member) ?? true) ? openContent(options, member) : undefined;
  let crc = 0;
  let left = expected.bytes;
  let ended = fd === undefined;
  const place = new ContentPlace(member);
  if (ended) buffer.fill(0);
  try {
    while (left > 0) {
      const wanted = Math.min(left, buffer.length);
      const read = fd === undefined || ended ? 0 : readSync(fd, buffer, 0, ...place.next(wanted));
      if (read === 0 && !ended) {
        ended = true;
        buffer.fill(0);
      }
      const piece = buffer.subarray(0, read === 0 ? wanted : read);
      if (fd !== undefined) crc = crc32(piece, crc);
      left -= piece.length;
      yield piece;
    }
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
  if (fd !== undefined && crc !== expected.crc) options.onDamage(member, 'its content is not what it was');
}

/** Where the content of a member stands in its file: of a sparse one, between the holes. */
class ContentPlace {
  readonly #extents: readonly { offset: number; length: number }[];
  #extent = 0;
  /** In the extent. */
  #at = 0;

  constructor(member: Member) {
    this.#extents = member.extents ?? [{ offset: 0, length: member.storedBytes }];
  }

  /** How many of the next `wanted` bytes to read at once, and from where. */
  next(wanted: number): [length: number, position: number] {
    let extent = this.#extents[this.#extent];
    while (extent !== undefined && this.#at >= extent.length) {
      this.#extent += 1;
      this.#at = 0;
      extent = this.#extents[this.#extent];
    }
    if (extent === undefined) return [0, 0];
    const length = Math.min(wanted, extent.length - this.#at);
    const position = extent.offset + this.#at;
    this.#at += length;
    return [length, position];
  }
}

/** The member's file for reading; what is there instead is damage. */
function openContent({ tree, onDamage }: ReassembleOptions, member: Member): number | undefined {
  try {
    return tree.openFile(member.path);
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    onDamage(member, `it cannot be read (${code})`);
    return undefined;
  }
}
