/**
 * The tar split of a layer: every byte of its tar that is not a file's
 * content, with the length and checksum of each content between them. Layers
 * are kept unpacked only; with its split a layer's directory gives back the
 * very tar it came from, so that the layer can be verified by its diffID and
 * sent elsewhere without its compressed blob being kept. Headers are alike,
 * so a split takes about one part in a thousand of the layer.
 *
 * A split is a row of blocks, each a zstd frame behind its length (u32) and
 * its plain length (u32), little-endian; the plain bytes are records:
 * 0 raw: u32 length, bytes; 1 content: f64 bytes in the archive, u32 CRC-32.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { layerError } from '../tar/index.ts';

/** What stands in a split, in the order of the archive. */
export type SplitRecord =
  | { kind: 'raw'; bytes: Buffer }
  /** A file's content as it stood in the archive: of a sparse file without its holes. */
  | { kind: 'content'; bytes: number; crc: number };

const RAW = 0;
const CONTENT = 1;
const RAW_HEAD_BYTES = 5;
const CONTENT_RECORD_BYTES = 13;
const BLOCK_HEAD_BYTES = 8;
/** Plain bytes of a block: enough for headers to be seen as alike, little enough to hold. */
const BLOCK_BYTES = 256 * 1024;
/** Raw bytes of one record at most. */
const RAW_BYTES = 32 * 1024;
/** Largest block believed when reading: a block, one record over it, and what zstd adds to what it cannot compress. */
const BLOCK_LIMIT_BYTES = 2 * (BLOCK_BYTES + RAW_BYTES);

/** Where the split of a layer that is being unpacked into `dir` is: beside it. */
export const stagedSplit = (dir: string): string => `${dir}.split`;

/** Writes a split beside a layer that is being unpacked. Throws what the disk says. */
export class SplitWriter implements Disposable {
  readonly #fd: number;
  readonly #block = Buffer.allocUnsafe(BLOCK_BYTES + RAW_BYTES + CONTENT_RECORD_BYTES + RAW_HEAD_BYTES);
  #fill = 0;
  readonly #raw = Buffer.allocUnsafe(RAW_BYTES);
  #rawFill = 0;
  #contentBytes = 0;
  #crc = 0;

  /** `path` must not exist. */
  constructor(path: string) {
    this.#fd = openSync(path, 'wx', 0o600);
  }

  /** Bytes of the archive that are no content. */
  raw(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const taken = chunk.copy(this.#raw, this.#rawFill, at);
      at += taken;
      this.#rawFill += taken;
      if (this.#rawFill === RAW_BYTES) this.#endRaw();
    }
  }

  /** Some bytes of a file's content. */
  content(chunk: Buffer): void {
    this.#contentBytes += chunk.length;
    this.#crc = crc32(chunk, this.#crc);
  }

  /** The content of a member, if it had one, is complete. */
  endContent(): void {
    if (this.#contentBytes === 0) return;
    this.#endRaw();
    this.#fill = this.#block.writeUInt8(CONTENT, this.#fill);
    this.#fill = this.#block.writeDoubleLE(this.#contentBytes, this.#fill);
    this.#fill = this.#block.writeUInt32LE(this.#crc, this.#fill);
    this.#contentBytes = 0;
    this.#crc = 0;
    this.#endRecord();
  }

  /** The archive is complete. */
  finish(): void {
    this.#endRaw();
    this.#endBlock();
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #endRaw(): void {
    if (this.#rawFill === 0) return;
    this.#fill = this.#block.writeUInt8(RAW, this.#fill);
    this.#fill = this.#block.writeUInt32LE(this.#rawFill, this.#fill);
    this.#fill += this.#raw.copy(this.#block, this.#fill, 0, this.#rawFill);
    this.#rawFill = 0;
    this.#endRecord();
  }

  #endRecord(): void {
    if (this.#fill >= BLOCK_BYTES) this.#endBlock();
  }

  #endBlock(): void {
    if (this.#fill === 0) return;
    const frame = zstdCompressSync(this.#block.subarray(0, this.#fill));
    const head = Buffer.alloc(BLOCK_HEAD_BYTES);
    head.writeUInt32LE(frame.length, 0);
    head.writeUInt32LE(this.#fill, 4);
    this.#fill = 0;
    const bytes = Buffer.concat([head, frame]);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
  }
}

/** The records of a split. Throws IMAGE_LAYER when it is damaged. */
export function* readSplit(path: string): Generator<SplitRecord> {
  const fd = openSync(path, 'r');
  try {
    for (let block = readBlock(fd); block !== undefined; block = readBlock(fd)) yield* recordsOf(block);
  } finally {
    closeSync(fd);
  }
}

function readBlock(fd: number): Buffer | undefined {
  const head = readExactly(fd, BLOCK_HEAD_BYTES);
  if (head === undefined) return undefined;
  const [length, plain] = [head.readUInt32LE(0), head.readUInt32LE(4)];
  if (length > BLOCK_LIMIT_BYTES || plain > BLOCK_LIMIT_BYTES) throw damaged();
  const frame = readExactly(fd, length);
  if (frame === undefined) throw damaged();
  let block: Buffer;
  try {
    block = zstdDecompressSync(frame, { maxOutputLength: plain });
  } catch (error) {
    throw damaged(error);
  }
  if (block.length !== plain) throw damaged();
  return block;
}

/** undefined at the end of the file; a file that ends in the middle is damaged. */
function readExactly(fd: number, length: number): Buffer | undefined {
  const bytes = Buffer.alloc(length);
  let at = 0;
  while (at < length) {
    const read = readSync(fd, bytes, at, length - at, null);
    if (read === 0) break;
    at += read;
  }
  if (at > 0 && at < length) throw damaged();
  return at === 0 ? undefined : bytes;
}

function* recordsOf(block: Buffer): Generator<SplitRecord> {
  for (let at = 0; at < block.length; ) {
    const kind = block[at];
    if (kind === RAW && at + RAW_HEAD_BYTES <= block.length) {
      const from = at + RAW_HEAD_BYTES;
      const to = from + block.readUInt32LE(at + 1);
      if (to > block.length) throw damaged();
      yield { kind: 'raw', bytes: block.subarray(from, to) };
      at = to;
    } else if (kind === CONTENT && at + CONTENT_RECORD_BYTES <= block.length) {
      yield { kind: 'content', bytes: block.readDoubleLE(at + 1), crc: block.readUInt32LE(at + 9) };
      at += CONTENT_RECORD_BYTES;
    } else throw damaged();
  }
}

const damaged = (cause?: unknown): Error => layerError('its tar split is damaged', cause);
