/**
 * An image to a registry: layers, config, and the manifest last, so that what
 * the registry has under the name is always whole. Blobs it has are not sent
 * again. A layer that is on the node as a plain tar is sent compressed, under
 * a manifest that says so; its config, and so the image's id, stay the same.
 */
import type { Scratch } from '../archive/index.ts';
import type { BlobStore } from '../content/index.ts';
import { RuntimeError } from '../errors/index.ts';
import type { DiffId } from '../ids/index.ts';
import { type BlobSource, type Descriptor, digestNameOf, type PushSession, parseReference, type Reference } from '../registry/index.ts';
import type { Catalog } from './catalog.ts';
import type { LayerSource } from './layer-source.ts';
import { type ImageDocuments, manifestFor, readDocuments, tagAskedFor } from './outgoing.ts';
import { compressed, isPlain, type OutgoingBlob, verifiedStream } from './outgoing-layer.ts';
import type { ImageRecord, PushedImage, PushRequest, RegistryAuth } from './types.ts';

/** What pushing works with. */
export interface PushParts {
  catalog: Pick<Catalog, 'find'>;
  blobs: BlobStore;
  layers: LayerSource;
  scratch: Scratch;
  openPush: (reference: Reference, auth: RegistryAuth | undefined) => Promise<PushSession>;
  /** Keeps what an image is made of until disposed of. */
  use: (record: Readonly<ImageRecord>) => AsyncDisposable;
}

const LAYER_GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** Pushes. Throws IMAGE_NOT_FOUND, INVALID_ARGUMENT, IMAGE_LAYER_UNAVAILABLE, DISK_FULL and what the registry says. */
export async function pushImage(parts: PushParts, request: PushRequest, signal: AbortSignal): Promise<PushedImage> {
  const record = parts.catalog.find(request.image);
  if (record === undefined) {
    throw new RuntimeError('not-found', 'IMAGE_NOT_FOUND', `the image ${JSON.stringify(request.image)} is not on this node; pull it first`);
  }
  const target = targetOf(record, request);
  await using _use = parts.use(record);
  const documents = await readDocuments(parts.blobs, record);
  const sender = new Sender(await parts.openPush(target, request.auth), signal);
  const layers = await pushLayers(parts, { record, documents, sender, signal });
  const { config } = documents;
  await sender.send({ digest: config.digest, size: config.bytes.length, open: () => once(config.bytes) });
  const manifest = manifestFor(documents, layers, 'any');
  await sender.session.putManifest(target.tag ?? manifest.digest, manifest.bytes, manifest.mediaType, signal);
  return { name: digestNameOf(target, manifest.digest), bytesSent: sender.bytesSent, bytesPresent: sender.bytesPresent };
}

/** Where to: what the caller says, or the name the image was asked for by, or the only tag it has. */
function targetOf(record: Readonly<ImageRecord>, { image, target }: PushRequest): Reference {
  if (target !== '') {
    const reference = parseReference(target);
    if (reference.digest === undefined) return reference;
    throw refused(`${JSON.stringify(target)} has a digest, which is the image’s own; give HOST/NAME[:TAG]`);
  }
  const asked = tagAskedFor(record, image);
  const [only, ...others] = asked === undefined ? record.repoTags : [asked];
  if (only !== undefined && others.length === 0) return parseReference(only);
  const tags = record.repoTags.length === 0 ? 'it has no tag' : `it has the tags ${record.repoTags.slice(0, 5).join(', ')}`;
  throw refused(`image ${JSON.stringify(image)} is asked for by an id or digest and ${tags}; say where to push it`);
}

interface Pushing {
  record: Readonly<ImageRecord>;
  documents: ImageDocuments;
  sender: Sender;
  signal: AbortSignal;
}

/** Sends the layers and answers what the manifest says of them. */
async function pushLayers(parts: PushParts, { record, documents, sender, signal }: Pushing): Promise<Descriptor[]> {
  const sent = new Map<DiffId, Descriptor>(); // the same layer twice in an image is sent once
  const descriptors: Descriptor[] = [];
  for (const [at, diffId] of documents.diffIds.entries()) {
    const what = `layer ${at + 1} of image ${record.repoTags[0] ?? record.id}`;
    const known = sent.get(diffId);
    const descriptor =
      known ?? (await pushLayer({ blob: await parts.layers.open(record, at), diffId, what }, parts.scratch, { sender, signal }));
    sent.set(diffId, descriptor);
    descriptors.push(descriptor);
  }
  return descriptors;
}

async function pushLayer(
  layer: OutgoingBlob,
  scratch: Scratch,
  { sender, signal }: Pick<Pushing, 'sender' | 'signal'>,
): Promise<Descriptor> {
  const { mediaType, digest, size } = layer.blob;
  if (!isPlain(layer)) {
    await sender.send({ digest, size, open: () => verifiedStream(layer, signal) });
    return { mediaType, digest, size };
  }
  await using file = await compressed(layer, scratch, signal);
  await sender.send({ digest: file.digest, size: file.size, open: () => file.stream(signal) });
  return { mediaType: LAYER_GZIP, digest: file.digest, size: file.size };
}

/** Sends what is not there, and counts. */
class Sender {
  readonly session: PushSession;
  readonly #signal: AbortSignal;
  bytesSent = 0;
  bytesPresent = 0;

  constructor(session: PushSession, signal: AbortSignal) {
    this.session = session;
    this.#signal = signal;
  }

  async send(blob: BlobSource): Promise<void> {
    if (await this.session.hasBlob(blob.digest, this.#signal)) {
      this.bytesPresent += blob.size;
      return;
    }
    await this.session.uploadBlob(blob, this.#signal);
    this.bytesSent += blob.size;
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function refused(why: string): RuntimeError {
  return new RuntimeError('invalid', 'INVALID_ARGUMENT', `pushing is not possible: ${why}`);
}
