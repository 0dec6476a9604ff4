/**
 * The blobs of an image's layers, for those who send images on. A pull drops
 * a layer's compressed blob when it is unpacked, unless it is to be kept;
 * what is left to send is the kept blob where there is one, or the tar made
 * again from the unpacked tree and its split.
 */
import type { Scratch } from '../archive/index.ts';
import type { BlobStore } from '../content/index.ts';
import { isRuntimeError, messageOf, RuntimeError } from '../errors/index.ts';
import type { DiffId, Digest } from '../ids/index.ts';
import { parseManifest } from '../registry/index.ts';
import type { LayerStore } from '../snapshot/index.ts';
import type { ImageRecord } from './types.ts';

/** A layer as it can be sent. */
export interface LayerBlob {
  readonly mediaType: string;
  /** Of the bytes that stream() gives; of a plain tar it is the layer's diffID. */
  readonly digest: Digest;
  readonly size: number;
  stream(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** Where blobs of layers come from. */
export interface LayerSource {
  /** The blob of the `at`-th layer of the image's manifest, or its plain tar. Throws IMAGE_LAYER_UNAVAILABLE. */
  open(record: Readonly<ImageRecord>, at: number): Promise<LayerBlob>;
}

/** What blobs are found in or made from. */
export interface LayerSourceParts {
  blobs: BlobStore;
  layers: LayerStore;
  scratch: Scratch;
}

const PLAIN_TAR = 'application/vnd.oci.image.layer.v1.tar';

/** Serves kept blobs, and tars made again. */
export function layerSource(parts: LayerSourceParts): LayerSource {
  return {
    async open(record, at) {
      const { blobs, layers } = parts;
      const bytes = await blobs.read(record.manifestDigest);
      const manifest = bytes === undefined ? undefined : parseManifest(bytes, `image ${record.id}`);
      const descriptor = manifest?.kind === 'manifest' ? manifest.layers[at] : undefined;
      if (descriptor !== undefined && blobs.size(descriptor.digest) === descriptor.size) {
        return { ...descriptor, stream: (signal) => blobs.stream(descriptor.digest, signal) };
      }
      const diffId = manifest?.kind === 'manifest' ? record.layers[at] : undefined;
      const size = diffId === undefined ? undefined : layers.get(diffId)?.tarBytes;
      if (diffId === undefined || size === undefined) throw unavailable(record, at);
      return { mediaType: PLAIN_TAR, digest: diffId, size, stream: (signal) => assembled(parts, diffId, signal) };
    },
  };
}

/** A damaged layer is found out before a byte of it is given. */
async function* assembled({ layers, scratch }: LayerSourceParts, diffId: DiffId, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  await using file = scratch.reserve();
  try {
    await layers.assemble(diffId, file.path, signal);
  } catch (error) {
    if (signal.aborted || isRuntimeError(error, 'DISK_FULL') || isRuntimeError(error, 'READ_ONLY_FILE_SYSTEM')) throw error;
    const message = `layer ${diffId} cannot be made again from this node: ${messageOf(error)}; find out with berth check --images, and pull the image again`;
    throw new RuntimeError('internal', 'IMAGE_LAYER_UNAVAILABLE', message, { cause: error });
  }
  yield* file.stream(signal);
}

function unavailable(record: Readonly<ImageRecord>, at: number): RuntimeError {
  const name = record.repoTags[0] ?? record.id;
  const message = `layer ${at + 1} of image ${name} cannot be sent: its blob was not kept and its tar cannot be made again; set images.keep_blobs, remove the image and pull it again`;
  return new RuntimeError('precondition', 'IMAGE_LAYER_UNAVAILABLE', message);
}
