/**
 * One image of an archive in the form that a pull reads images in (image's
 * ImageSource). Documents are compared with their digests here; layers by the
 * pull, whose verdict is told in words about the archive: explain().
 */
import { createHash } from 'node:crypto';
import { isRuntimeError, messageOf, type RuntimeError } from '../errors/index.ts';
import type { Digest } from '../ids/index.ts';
import { archiveError, memberError } from './error.ts';
import { lookAt, type Members, readMember, streamMember } from './members.ts';

/** Bytes of a manifest, as for a registry's. */
const MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024;

/** What a document points at (OCI image-spec descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** A manifest or index with its own digest. */
export interface Document {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly contentType: string;
}

/** Where the parts of one image are. */
export interface SourceParts {
  /** The document the image begins with. */
  top(signal: AbortSignal): Promise<Document>;
  /** The member that has this digest. */
  memberOf(digest: Digest): string | undefined;
  /** The same for a manifest that an index names, where that is another place. */
  manifestOf?(digest: Digest): string | undefined;
}

export class ArchiveSource {
  readonly #members: Members;
  readonly #parts: SourceParts;
  /** Why reading a layer failed: a pull that tries again is told so. */
  #broken: RuntimeError | undefined;

  constructor(members: Members, parts: SourceParts) {
    this.#members = members;
    this.#parts = parts;
  }

  /** The manifest or index with this digest; undefined is the one the image begins with. */
  async manifest(digest: Digest | undefined, signal: AbortSignal): Promise<Document> {
    if (digest === undefined) return this.#parts.top(signal);
    const member = this.#parts.manifestOf?.(digest) ?? this.#place(digest);
    return { bytes: await readVerified(this.#members, member, { digest }), digest, contentType: '' };
  }

  /** A small blob, whole. */
  async smallBlob(descriptor: Descriptor, limitBytes: number, _signal: AbortSignal): Promise<Buffer> {
    return readVerified(this.#members, this.#place(descriptor.digest), { ...descriptor, limitBytes });
  }

  /** A layer from `offset` on; not verified. */
  async blob(descriptor: Descriptor, offset: number, signal: AbortSignal): Promise<{ offset: number; body: AsyncIterable<Uint8Array> }> {
    if (this.#broken !== undefined) throw this.#broken;
    const member = this.#place(descriptor.digest);
    const place = { path: this.#members.path, member };
    const { size } = await lookAt(this.#members, member);
    if (size !== descriptor.size) throw memberError(place, `has ${size} bytes, its descriptor says ${descriptor.size}`);
    return { offset, body: this.#remembering(streamMember(this.#members, member, { offset, signal })) };
  }

  /** What a failed transfer of a layer means for the archive: `error` itself when it was not the archive's fault. */
  explain(descriptor: Descriptor, error: unknown): unknown {
    if (this.#broken !== undefined) return this.#broken;
    const place = { path: this.#members.path, member: this.#place(descriptor.digest) };
    if (isRuntimeError(error, 'IMAGE_DIGEST'))
      return memberError(place, `is damaged: its content does not have the digest ${descriptor.digest}`, error);
    const isTransfer = isRuntimeError(error, 'REGISTRY_UNAVAILABLE') || isRuntimeError(error, 'PULL_STALLED');
    return isTransfer ? memberError(place, `cannot be read (${messageOf(error)})`, error) : error;
  }

  async *#remembering(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      if (isRuntimeError(error, 'IMAGE_ARCHIVE')) this.#broken = error;
      throw error;
    }
  }

  #place(digest: Digest): string {
    const member = this.#parts.memberOf(digest);
    if (member === undefined) throw archiveError(this.#members.path, `it has nothing with the digest ${digest}`);
    return member;
  }
}

/** A member that must be there, whole. */
export async function readDocument(members: Members, member: string, limitBytes = MANIFEST_LIMIT_BYTES): Promise<Buffer> {
  const bytes = await readMember(members, member, limitBytes);
  if (bytes === undefined) throw memberError({ path: members.path, member }, 'is missing');
  return bytes;
}

/** The same, and it must have the digest. */
export async function readVerified(
  members: Members,
  member: string,
  expected: { digest: Digest; size?: number; limitBytes?: number },
): Promise<Buffer> {
  const place = { path: members.path, member };
  const bytes = await readDocument(members, member, expected.limitBytes);
  const size = expected.size ?? bytes.length;
  if (bytes.length !== size) throw memberError(place, `has ${bytes.length} bytes, its descriptor says ${size}`);
  if (digestOf(bytes) !== expected.digest) throw memberError(place, `is damaged: its content does not have the digest ${expected.digest}`);
  return bytes;
}

/** The digest of `bytes`. */
export const digestOf = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest; // of that form by construction
