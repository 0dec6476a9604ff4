/**
 * Writes a tar as a stream of equal pieces. The same members give the same
 * bytes: in order of their names, without times, owners or modes of any
 * machine. What is promised is kept: a member that turns out to have another
 * length than its header says ends the stream with an error. Source: POSIX
 * pax(1) "ustar Interchange Format"; sizes beyond it as GNU tar writes them.
 */
import { RuntimeError } from '../errors/index.ts';

const BLOCK_BYTES = 512;
/** Pieces of the stream, in bytes. */
const PIECE_BYTES = 256 * 1024;
/** Largest size in eleven octal digits. */
const OCTAL_LIMIT = 8 ** 11;
const NAME_BYTES = 100;

/** A member when its turn has come. */
export interface OpenedMember extends AsyncDisposable {
  readonly size: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** A member to write; a name that ends in a slash is a directory. */
export interface OutgoingMember {
  /** At most 100 bytes of ASCII. */
  readonly name: string;
  open(signal: AbortSignal): Promise<OpenedMember>;
}

/** A member of bytes at hand. */
export function documentMember(name: string, bytes: Uint8Array): OutgoingMember {
  return { name, open: async () => ({ size: bytes.length, body: once(bytes), [Symbol.asyncDispose]: async () => undefined }) };
}

/** The archive of `members`, whose names differ. */
export function writeTar(members: readonly OutgoingMember[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  return inPieces(parts(members, signal));
}

async function* parts(members: readonly OutgoingMember[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (const member of members.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    await using opened = await member.open(signal);
    yield header(member.name, opened.size);
    let written = 0;
    for await (const chunk of opened.body) {
      written += chunk.length;
      yield chunk;
    }
    if (written !== opened.size) {
      const message = `writing ${member.name} into the archive failed: it had ${written} bytes, not ${opened.size}; run \`berth check --images\``;
      throw new RuntimeError('internal', 'IMAGE_LAYER_UNAVAILABLE', message);
    }
    yield Buffer.alloc((BLOCK_BYTES - (written % BLOCK_BYTES)) % BLOCK_BYTES);
  }
  yield Buffer.alloc(2 * BLOCK_BYTES);
}

function header(name: string, size: number): Buffer {
  const isDirectory = name.endsWith('/');
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, offset: number, length: number): void => {
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, length, 'latin1');
  };
  block.write(name, 0, NAME_BYTES, 'latin1');
  octal(isDirectory ? 0o755 : 0o644, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  if (size < OCTAL_LIMIT) octal(size, 124, 12);
  else {
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
  }
  octal(0, 136, 12);
  block.fill(' ', 148, 156);
  block.write(isDirectory ? '5' : '0', 156, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** The same bytes in pieces of PIECE_BYTES, the last one shorter. */
async function* inPieces(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let piece = Buffer.allocUnsafe(PIECE_BYTES);
  let filled = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      const taken = Math.min(PIECE_BYTES - filled, chunk.length - at);
      piece.set(chunk.subarray(at, at + taken), filled);
      at += taken;
      filled += taken;
      if (filled < PIECE_BYTES) continue;
      yield piece;
      piece = Buffer.allocUnsafe(PIECE_BYTES); // the reader keeps the one it got
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
