/**
 * One layer on its way out, as it is or in another form: plain for an archive
 * of docker's, compressed for a registry. Its digest is looked at on the way,
 * since what was kept on a disk for a year may have changed.
 */
import { createHash } from 'node:crypto';
import { brokenCompression, compressionOf, MAGIC_BYTES, type OpenedMember, type Scratch, type SpooledFile } from '../archive/index.ts';
import { RuntimeError } from '../errors/index.ts';
import type { DiffId, Digest } from '../ids/index.ts';
import type { LayerBlob } from './layer-source.ts';

/** A layer's blob with what it unpacks to. */
export interface OutgoingBlob {
  readonly blob: LayerBlob;
  readonly diffId: DiffId;
  /** Names it in errors. */
  readonly what: string;
}

/** True when the blob is the layer's tar itself. */
export const isPlain = ({ blob, diffId }: OutgoingBlob): boolean => blob.digest === diffId;

/** The blob's bytes, at whose end they are compared with its digest. Throws IMAGE_LAYER_UNAVAILABLE. */
export async function* verifiedStream({ blob, what }: OutgoingBlob, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of blob.stream(signal)) {
    hash.update(chunk);
    yield chunk;
  }
  compare(`sha256:${hash.digest('hex')}`, blob.digest, what);
}

/** The blob as it is. */
export function openAsIs(outgoing: OutgoingBlob, signal: AbortSignal): OpenedMember {
  return { size: outgoing.blob.size, body: verifiedStream(outgoing, signal), [Symbol.asyncDispose]: async () => undefined };
}

/** The layer's tar. */
export async function openPlain(outgoing: OutgoingBlob, scratch: Scratch, signal: AbortSignal): Promise<OpenedMember> {
  if (isPlain(outgoing)) return openAsIs(outgoing, signal);
  const { blob, diffId, what } = outgoing;
  const compression = compressionOf(await headOf(blob, signal));
  if (compression !== 'gzip' && compression !== 'zstd') throw damaged(what, 'is neither gzip nor zstd');
  const through = compression === 'gzip' ? 'gunzip' : 'unzstd';
  const tar = await scratch.spool({ source: blob.stream(signal), through, signal }).catch((error: unknown) => {
    const broken = brokenCompression(error);
    throw broken === undefined ? error : damaged(what, `has broken compression (${broken})`);
  });
  await using cleanUp = new AsyncDisposableStack();
  cleanUp.use(tar);
  compare(tar.digest, diffId, what);
  cleanUp.move();
  return { size: tar.size, body: tar.stream(signal), [Symbol.asyncDispose]: () => tar[Symbol.asyncDispose]() };
}

/** The layer's tar compressed with gzip, which every registry and runtime takes; for a plain blob. */
export function compressed(outgoing: OutgoingBlob, scratch: Scratch, signal: AbortSignal): Promise<SpooledFile> {
  return scratch.spool({ source: verifiedStream(outgoing, signal), through: 'gzip', signal });
}

async function headOf(blob: LayerBlob, signal: AbortSignal): Promise<Uint8Array> {
  let head = new Uint8Array();
  for await (const chunk of blob.stream(signal)) {
    head = Buffer.concat([head, chunk]);
    if (head.length >= MAGIC_BYTES) break;
  }
  return head;
}

function compare(actual: string, expected: Digest, what: string): void {
  if (actual !== expected) throw damaged(what, `has the digest ${actual}, not ${expected}`);
}

function damaged(what: string, why: string): RuntimeError {
  const message = `${what} is damaged on this node: its content ${why}; remove the image and pull it again`;
  return new RuntimeError('internal', 'IMAGE_LAYER_UNAVAILABLE', message);
}
