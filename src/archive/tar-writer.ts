/**
 * Writes a tar as a stream of equal pieces. The same members give the same
 * bytes: in order of their names, without times, owners or modes of any
 * machine. What is promised is kept: a member that turns out to have another
 * length than its header says ends the stream with an error.
 */
import { RuntimeError } from '../errors/index.ts';
import { endOfArchive, memberHeader, padding, plainFile } from '../tar/index.ts';

/** Pieces of the stream, in bytes. */
const PIECE_BYTES = 256 * 1024;

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
    yield padding(written);
  }
  yield endOfArchive();
}

function header(name: string, size: number): Buffer {
  const file = plainFile(name, size);
  return memberHeader(name.endsWith('/') ? { ...file, type: 'directory', mode: 0o755 } : file);
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
