/**
 * An archive as named members that can be read from any offset, whether they
 * lie in a directory or in a tar. Reading is asynchronous and in pieces, so
 * that a file of any size never holds up the event loop; a name only selects
 * among what the archive holds and is never a path of the node's.
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { abortError } from '../async/index.ts';
import { messageOf } from '../errors/index.ts';
import type { Digest } from '../ids/index.ts';
import { memberError } from './error.ts';

/** Bytes read at once. */
const READ_BYTES = 256 * 1024;

/** Where a member's bytes are, until it is closed. */
export interface Region {
  readonly file: FileHandle;
  /** Offset of its first byte in the file. */
  readonly start: number;
  readonly size: number;
  close(): Promise<void>;
}

/** The members of an archive. */
export interface Members {
  /** The file or directory, as it was named. */
  readonly path: string;
  /** Opens a member; undefined when there is none of this name. Throws IMAGE_ARCHIVE. */
  open(member: string): Promise<Region | undefined>;
}

/** Size and first bytes of a member that must be there. */
export async function lookAt(members: Members, member: string, headBytes = 0): Promise<{ size: number; head: Buffer }> {
  const place = { path: members.path, member };
  const region = await members.open(member);
  if (region === undefined) throw memberError(place, 'is missing');
  try {
    const head = Buffer.alloc(Math.min(headBytes, region.size));
    await fill(head, region, place);
    return { size: region.size, head };
  } finally {
    await region.close();
  }
}

/** A small member, whole; undefined when there is none. Throws IMAGE_ARCHIVE when it is larger than `limitBytes`. */
export async function readMember(members: Members, member: string, limitBytes: number): Promise<Buffer | undefined> {
  const region = await members.open(member);
  if (region === undefined) return undefined;
  try {
    const place = { path: members.path, member };
    if (region.size > limitBytes) throw memberError(place, `has ${region.size} bytes, at most ${limitBytes} are expected`);
    const bytes = Buffer.alloc(region.size);
    await fill(bytes, region, place);
    return bytes;
  } finally {
    await region.close();
  }
}

/** A member's bytes from `offset` on. Throws IMAGE_ARCHIVE when it is not there or ends early. */
export async function* streamMember(
  members: Members,
  member: string,
  options: { offset?: number; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const place = { path: members.path, member };
  const region = await members.open(member);
  if (region === undefined) throw memberError(place, 'is missing');
  try {
    yield* streamRegion(region, { ...options, fail: (why, cause) => memberError(place, why, cause) });
  } finally {
    await region.close();
  }
}

/** The first bytes of a region. */
async function fill(into: Buffer, region: Region, place: { path: string; member: string }): Promise<void> {
  const fail: Fail = (why, cause) => memberError(place, why, cause);
  for (let at = 0; at < into.length; ) at += await readAt(region, { into: into.subarray(at), offset: at, fail });
}

/** Makes the error of a read that failed; `why` follows the name of what was read. */
type Fail = (why: string, cause?: unknown) => Error;

/** The bytes of a region from `offset` on; `fail` makes the error when they cannot be had. */
export async function* streamRegion(
  region: Omit<Region, 'close'>,
  options: { offset?: number; signal: AbortSignal; fail: Fail },
): AsyncGenerator<Buffer> {
  const { offset = 0, signal, fail } = options;
  for (let at = offset; at < region.size; ) {
    if (signal.aborted) throw abortError(signal);
    // a buffer of its own: the reader may still hold the one before
    const chunk = Buffer.allocUnsafe(Math.min(READ_BYTES, region.size - at));
    const length = await readAt(region, { into: chunk, offset: at, fail });
    at += length;
    yield chunk.subarray(0, length);
  }
}

/** The digest of a member's bytes. */
export async function digestOfMember(members: Members, member: string, signal: AbortSignal): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of streamMember(members, member, { signal })) hash.update(chunk);
  return `sha256:${hash.digest('hex')}` as Digest; // of that form by construction
}

/** Reads some bytes at `offset` of the region, at least one. */
async function readAt(
  region: Omit<Region, 'close'>,
  { into, offset, fail }: { into: Buffer; offset: number; fail: Fail },
): Promise<number> {
  let bytesRead: number;
  try {
    ({ bytesRead } = await region.file.read(into, 0, into.length, region.start + offset));
  } catch (error) {
    throw fail(`cannot be read (${messageOf(error)})`, error);
  }
  if (bytesRead === 0) throw fail(`ends after ${offset} of ${region.size} bytes`);
  return bytesRead;
}
