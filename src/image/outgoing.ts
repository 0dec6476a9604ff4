/**
 * An image on its way out of the node. Config and, where its layers leave as
 * they came, manifest are the image's own; a manifest is made anew when a
 * layer leaves in another form than the one it names. The config never
 * changes, and so the image's id does not either.
 */
import { createHash } from 'node:crypto';
import type { BlobStore } from '../content/index.ts';
import { RuntimeError } from '../errors/index.ts';
import type { DiffId, Digest } from '../ids/index.ts';
import { type Descriptor, type ImageManifest, type Platform, parseManifest, parseReference, tagOf } from '../registry/index.ts';
import { parseImageConfig } from './image-config.ts';
import type { ImageRecord } from './types.ts';

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
/** OCI's names of layer types (image-spec media-types.md "Compatibility Matrix"). */
const OCI_LAYERS: Readonly<Record<string, string>> = {
  'application/vnd.docker.image.rootfs.diff.tar': 'application/vnd.oci.image.layer.v1.tar',
  'application/vnd.docker.image.rootfs.diff.tar.gzip': 'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd': 'application/vnd.oci.image.layer.v1.tar+zstd',
};

/** A manifest ready to be sent. */
export interface OutgoingManifest {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly mediaType: string;
}

/** What the node keeps of an image beside its layers. */
export interface ImageDocuments {
  readonly config: { readonly bytes: Buffer; readonly digest: Digest };
  readonly manifest: OutgoingManifest & { readonly document: ImageManifest };
  /** Lowest first, as many as the manifest has layers. */
  readonly diffIds: readonly DiffId[];
  readonly platform: Platform;
}

/** Reads an image's documents. Throws IMAGE_MANIFEST when they are damaged. */
export async function readDocuments(blobs: BlobStore, record: Readonly<ImageRecord>): Promise<ImageDocuments> {
  const what = `image ${record.repoTags[0] ?? record.id}`;
  refuseToSend(record);
  const configBytes = await readVerified(blobs, record.id, `the config of ${what}`);
  const manifestBytes = await readVerified(blobs, record.manifestDigest, `the manifest of ${what}`);
  const { config, diffIds, variant } = parseImageConfig(configBytes, what);
  const document = parseManifest(manifestBytes, what);
  if (document.kind !== 'manifest' || document.layers.length !== diffIds.length) throw damaged(`the manifest of ${what}`);
  return {
    config: { bytes: configBytes, digest: record.id },
    manifest: { bytes: manifestBytes, digest: record.manifestDigest, mediaType: mediaTypeOf(manifestBytes), document },
    diffIds,
    platform: { os: config.os, architecture: config.architecture, ...(variant === '' ? {} : { variant }) },
  };
}

/** An artifact has no config and its files are not kept as they came. */
function refuseToSend({ artifactType, repoTags, id }: Readonly<ImageRecord>): void {
  if (artifactType === undefined) return;
  const message = `${repoTags[0] ?? id} is an artifact of type ${artifactType}; berth sends container images only: copy it from its registry instead`;
  throw new RuntimeError('invalid', 'IMAGE_IS_ARTIFACT', message);
}

/** The manifest for `layers`: the image's own where it names the very same and is of a type that is wanted. */
export function manifestFor(documents: ImageDocuments, layers: readonly Descriptor[], only: 'oci' | 'any'): OutgoingManifest {
  const { config, manifest } = documents;
  const isSame = manifest.document.layers.every((layer, at) => layer.digest === layers[at]?.digest);
  if (isSame && (only === 'any' || manifest.mediaType === OCI_MANIFEST)) return manifest;
  const { annotations } = JSON.parse(manifest.bytes.toString()) as { annotations?: unknown }; // it was parsed before
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: config.digest, size: config.bytes.length },
      layers: layers.map(({ mediaType, digest, size }) => ({ mediaType: OCI_LAYERS[mediaType] ?? mediaType, digest, size })),
      annotations,
    }),
  );
  return { bytes, digest: digestOf(bytes), mediaType: OCI_MANIFEST };
}

/** The image's tag that `word` means; undefined when it was asked for by an id or digest. */
export function tagAskedFor(record: Readonly<ImageRecord>, word: string): string | undefined {
  try {
    const reference = parseReference(word);
    const tag = reference.digest === undefined ? tagOf(reference) : undefined;
    return tag !== undefined && record.repoTags.includes(tag) ? tag : undefined;
  } catch {
    return undefined; // an id, which find() understood
  }
}

async function readVerified(blobs: BlobStore, digest: Digest, what: string): Promise<Buffer> {
  const bytes = await blobs.read(digest);
  if (bytes === undefined || digestOf(bytes) !== digest) throw damaged(what);
  return bytes;
}

function damaged(what: string): RuntimeError {
  return new RuntimeError('internal', 'IMAGE_MANIFEST', `${what} on this node is missing or damaged; pull or load the image again`);
}

function mediaTypeOf(bytes: Buffer): string {
  const { mediaType } = JSON.parse(bytes.toString()) as { mediaType?: unknown }; // it was parsed before
  return typeof mediaType === 'string' && mediaType !== '' ? mediaType : OCI_MANIFEST;
}

const digestOf = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest; // of that form by construction
