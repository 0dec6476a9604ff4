/**
 * The blobs of an image's layers, for those who send images on. A pull drops
 * a layer's compressed blob when it is unpacked; what is left to send is the
 * kept blob where there is one, or the tar made again from the unpacked tree.
 */
import type { BlobStore } from '../content/index.ts';
import { RuntimeError } from '../errors/index.ts';
import type { Digest } from '../ids/index.ts';
import { parseManifest } from '../registry/index.ts';
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

/** Serves the blobs that were kept. */
export function keptLayers(blobs: BlobStore): LayerSource {
  return {
    async open(record, at) {
      const bytes = await blobs.read(record.manifestDigest);
      const manifest = bytes === undefined ? undefined : parseManifest(bytes, `image ${record.id}`);
      const layer = manifest?.kind === 'manifest' ? manifest.layers[at] : undefined;
      const size = layer === undefined ? undefined : await blobs.size(layer.digest);
      if (layer !== undefined && size === layer.size) return { ...layer, stream: (signal) => blobs.stream(layer.digest, signal) };
      const message = `layer ${at + 1} of image ${record.id} is on this node unpacked only; set images.keep_blobs, remove the image and pull it again`;
      throw new RuntimeError('precondition', 'IMAGE_LAYER_UNAVAILABLE', message);
    },
  };
}
