/**
 * Images into one archive, as a stream: documents from the store, layers from
 * the layer source. Nothing that is damaged is passed on without an error.
 * What is saved stays on the node until the stream has ended, also when the
 * image is removed meanwhile.
 */
import { type OutgoingLayer, type OutgoingOciImage, type Scratch, writeDockerArchive, writeOciArchive } from '../archive/index.ts';
import type { BlobStore } from '../content/index.ts';
import { RuntimeError } from '../errors/index.ts';
import type { Catalog } from './catalog.ts';
import type { LayerBlob, LayerSource } from './layer-source.ts';
import { type ImageDocuments, manifestFor, readDocuments, tagAskedFor } from './outgoing.ts';
import { type OutgoingBlob, openAsIs, openPlain } from './outgoing-layer.ts';
import type { ImageRecord, SaveRequest } from './types.ts';

/** What saving works with. */
export interface SaveParts {
  catalog: Pick<Catalog, 'find'>;
  blobs: BlobStore;
  layers: LayerSource;
  scratch: Scratch;
  /** Keeps what an image is made of until disposed of. */
  use: (record: Readonly<ImageRecord>) => AsyncDisposable;
}

/** Images of one archive: its lists must stay readable. */
const IMAGES_LIMIT = 1000;

/** The archive. Throws IMAGE_NOT_FOUND, INVALID_ARGUMENT, IMAGE_LAYER_UNAVAILABLE, DISK_FULL. */
export async function* saveImages(parts: SaveParts, request: SaveRequest, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const chosen = choose(parts.catalog, request.images);
  await using uses = new AsyncDisposableStack();
  for (const record of chosen.keys()) uses.use(parts.use(record));
  const known = new Map<string, LayerBlob>();
  const images: OutgoingOciImage[] = [];
  for (const [record, tags] of chosen) {
    const documents = await readDocuments(parts.blobs, record);
    const layers = await openLayers(parts.layers, { record, documents }, known);
    images.push(outgoing(record, { documents, layers, tags, format: request.format, scratch: parts.scratch }));
  }
  yield* request.format === 'oci' ? writeOciArchive(images, signal) : writeDockerArchive(images, signal);
}

/** The images with the tags to save: the one that was asked for by, or all of an image that was asked for otherwise. */
function choose(catalog: Pick<Catalog, 'find'>, words: readonly string[]): Map<Readonly<ImageRecord>, readonly string[]> {
  if (words.length === 0 || words.length > IMAGES_LIMIT) {
    throw new RuntimeError('invalid', 'INVALID_ARGUMENT', `an archive can hold 1 to ${IMAGES_LIMIT} images; ${words.length} are asked for`);
  }
  const chosen = new Map<Readonly<ImageRecord>, readonly string[]>();
  for (const word of words) {
    const record = catalog.find(word);
    if (record === undefined) {
      throw new RuntimeError('not-found', 'IMAGE_NOT_FOUND', `the image ${JSON.stringify(word)} is not on this node; pull it first`);
    }
    const asked = tagAskedFor(record, word);
    const tags = asked === undefined ? record.repoTags : [asked];
    chosen.set(record, [...new Set([...(chosen.get(record) ?? []), ...tags])]);
  }
  return chosen;
}

/** The blobs of an image's layers; one that images share is opened once. */
async function openLayers(source: LayerSource, { record, documents }: Opening, known: Map<string, LayerBlob>): Promise<OutgoingBlob[]> {
  const layers: OutgoingBlob[] = [];
  for (const [at, diffId] of documents.diffIds.entries()) {
    const key = `${documents.manifest.document.layers[at]?.digest} ${diffId}`;
    const blob = known.get(key) ?? (await source.open(record, at));
    known.set(key, blob);
    layers.push({ blob, diffId, what: `layer ${at + 1} of image ${record.repoTags[0] ?? record.id}` });
  }
  return layers;
}

interface Opening {
  record: Readonly<ImageRecord>;
  documents: ImageDocuments;
}

interface Outgoing {
  documents: ImageDocuments;
  layers: readonly OutgoingBlob[];
  tags: readonly string[];
  format: SaveRequest['format'];
  scratch: Scratch;
}

function outgoing(record: Readonly<ImageRecord>, { documents, layers, tags, format, scratch }: Outgoing): OutgoingOciImage {
  const { config, platform } = documents;
  const manifest = manifestFor(
    documents,
    layers.map(({ blob }) => blob),
    'oci',
  );
  const asIs = (layer: OutgoingBlob): OutgoingLayer => ({ digest: layer.blob.digest, open: async (signal) => openAsIs(layer, signal) });
  const plain = (layer: OutgoingBlob): OutgoingLayer => ({ digest: layer.diffId, open: (signal) => openPlain(layer, scratch, signal) });
  // A digest names the manifest, and so the image only while that is the very same.
  const digestNames = record.repoDigests.filter((name) => name.endsWith(`@${manifest.digest}`));
  return { tags, digestNames, config, manifest, platform, layers: layers.map(format === 'oci' ? asIs : plain) };
}
