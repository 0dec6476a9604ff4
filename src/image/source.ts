/**
 * Where the documents and layers of one image come from: a registry, or a
 * file on the node. A pull knows nothing else of it, so that what is loaded
 * is checked, unpacked, shared and committed exactly as what is pulled.
 */
import type { DiffId } from '../ids/index.ts';
import type { Descriptor, RegistrySession } from '../registry/index.ts';

/**
 * The manifest or index by digest (undefined: what the reference names), a
 * small blob whole, a layer as a stream from an offset on. What is answered
 * for a digest has that digest, except a stream, whose reader checks it.
 */
export type ImageSource = Pick<RegistrySession, 'manifest' | 'smallBlob' | 'blob'> & {
  /** The error of a layer's transfer in the source's own words. */
  explain?(layer: Descriptor, error: unknown): unknown;
};

/** What the blob of a layer holds. */
export type BlobContent =
  /** A tar, whose digest is the layer's diffID. */
  | { kind: 'layer' }
  /** A tar whose digest nobody knows beforehand (artifacts). */
  | { kind: 'directory' }
  /** One file, to stand at `name` (artifacts). */
  | { kind: 'file'; name: string };

/** One layer, and the blob that brings it. */
export interface WantedLayer {
  descriptor: Descriptor;
  diffId: DiffId;
  content: BlobContent;
}

/** A manifest or index as it came. */
export type FetchedManifest = Awaited<ReturnType<ImageSource['manifest']>>;
