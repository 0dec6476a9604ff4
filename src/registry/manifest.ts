/**
 * Manifests and indexes of OCI and Docker schema 2, from bytes to a checked
 * form. Pure. Nothing of a document is believed before it was looked at:
 * sizes, digests and media types are checked here, so that the rest of the
 * pull handles only well-formed descriptors. Schema 1, foreign layers and
 * unknown layer types of an image are refused with words; a manifest whose
 * config is not an image's is an artifact, whose blobs are files of any type.
 */
import { RuntimeError } from '../errors/index.ts';
import { type Digest, isDigest } from '../ids/index.ts';
import { isObject, parseJsonObject } from './json.ts';

/** What a document points at (OCI image-spec descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** os/architecture[/variant] in Go's names. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** An image for one platform. */
export interface ImageManifest {
  readonly kind: 'manifest';
  readonly config: Descriptor;
  /** Lowest first. */
  readonly layers: readonly Descriptor[];
}

/** Files of any kind under one name (image-spec manifest.md "Guidelines for Artifact Usage"). */
export interface ArtifactManifest {
  readonly kind: 'artifact';
  /** What it says it is: its artifactType, else its config's media type. */
  readonly artifactType: string;
  readonly files: readonly ArtifactFile[];
}

/** One blob of an artifact. */
export interface ArtifactFile {
  readonly descriptor: Descriptor;
  /** Path it is shown as. */
  readonly name: string;
  /** It is a tar of a directory, to be unpacked (as oras packs directories). */
  readonly unpack: boolean;
}

/** A choice of images by platform. */
export interface ImageIndex {
  readonly kind: 'index';
  readonly manifests: readonly (Descriptor & { readonly platform?: Platform })[];
}

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const DOCKER_INDEX = 'application/vnd.docker.distribution.manifest.list.v2+json';

/** Accept header of a manifest request. */
export const MANIFEST_ACCEPT = [OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST].join(', ');

const MANIFEST_TYPES = new Set([OCI_MANIFEST, DOCKER_MANIFEST]);
const INDEX_TYPES = new Set([OCI_INDEX, DOCKER_INDEX]);
const CONFIG_TYPES = new Set(['application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json']);
const LAYER_TYPES = new Set([
  'application/vnd.oci.image.layer.v1.tar',
  'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.oci.image.layer.v1.tar+zstd',
  'application/vnd.docker.image.rootfs.diff.tar',
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd',
]);
/** image-spec annotations.md, and what oras sets on a directory. */
const TITLE = 'org.opencontainers.image.title';
const UNPACK = 'io.deis.oras.content.unpack';
const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;
const FOREIGN = /nondistributable|foreign/;

/** Layers an image may have: overlayfs takes 500 lowers (fs/overlayfs OVL_MAX_STACK), one is kept for berth's own. */
const LAYERS_LIMIT = 499;
/** Entries of an index; real ones have under 50. */
const INDEX_LIMIT = 1000;

/** Parses a manifest or index; `what` names it in errors, `contentType` is the server's word, used when the document has none. */
export function parseManifest(bytes: Uint8Array, what: string, contentType = ''): ImageManifest | ImageIndex | ArtifactManifest {
  const fail = (why: string): RuntimeError =>
    new RuntimeError(
      'unknown',
      'IMAGE_MANIFEST',
      `the manifest of ${what} cannot be used: ${why}; rebuild the image as OCI or Docker schema 2`,
    );
  const document = parseJsonObject(bytes, fail);
  const declared = document.mediaType ?? '';
  if (typeof declared !== 'string') throw fail('its media type is not a text');
  const mediaType = declared === '' ? (contentType.split(';')[0]?.trim() ?? '') : declared;
  if (document.schemaVersion === 1 || SCHEMA_1.test(mediaType)) throw fail('it is Docker schema 1, which is obsolete');
  if (document.schemaVersion !== 2) throw fail('its schemaVersion is not 2');
  // A document that is both could mean different images to different readers (image-spec manifest.md, CVE-2021-41190).
  if (document.manifests !== undefined && (document.layers !== undefined || document.config !== undefined)) {
    throw fail('it claims to be an image and an index at once');
  }
  const isKnown = declared === '' || MANIFEST_TYPES.has(declared) || INDEX_TYPES.has(declared);
  if (!isKnown) throw fail(`its media type ${quote(declared)} is unknown`);
  if (INDEX_TYPES.has(mediaType) || (!MANIFEST_TYPES.has(mediaType) && document.manifests !== undefined)) {
    return parseIndex(document.manifests, fail);
  }
  return parseImage(document, fail);
}

/** False for what an index lists beside images: signatures, lists of parts. */
export const isManifestOrIndex = ({ mediaType }: Descriptor): boolean =>
  mediaType === '' || MANIFEST_TYPES.has(mediaType) || INDEX_TYPES.has(mediaType);

type Fail = (why: string) => RuntimeError;

function parseIndex(manifests: unknown, fail: Fail): ImageIndex {
  if (!Array.isArray(manifests)) throw fail('it is an index without a list of manifests');
  if (manifests.length > INDEX_LIMIT) throw fail(`it lists more than ${INDEX_LIMIT} manifests`);
  const entries = manifests.map((entry: unknown) => {
    const descriptor = parseDescriptor(entry, 'a manifest', fail);
    const platform = isObject(entry) ? parsePlatform(entry.platform) : undefined;
    return platform === undefined ? descriptor : { ...descriptor, platform };
  });
  return { kind: 'index', manifests: entries };
}

function parsePlatform(value: unknown): Platform | undefined {
  if (!isObject(value) || typeof value.os !== 'string' || typeof value.architecture !== 'string') return undefined;
  const variant = typeof value.variant === 'string' && value.variant !== '' ? { variant: value.variant } : {};
  return { os: value.os, architecture: value.architecture, ...variant };
}

function parseImage(document: Record<string, unknown>, fail: Fail): ImageManifest | ArtifactManifest {
  const config = parseDescriptor(document.config, 'the config', fail);
  if (!Array.isArray(document.layers)) throw fail('it has no list of layers');
  if (document.layers.length > LAYERS_LIMIT) throw fail(`it has ${document.layers.length} layers, at most ${LAYERS_LIMIT} can be mounted`);
  if (config.mediaType !== '' && !CONFIG_TYPES.has(config.mediaType)) {
    const artifactType =
      typeof document.artifactType === 'string' && document.artifactType !== '' ? document.artifactType : config.mediaType;
    return { kind: 'artifact', artifactType, files: document.layers.map((entry: unknown) => parseFile(entry, fail)) };
  }
  const layers = document.layers.map((entry: unknown) => {
    const layer = parseDescriptor(entry, 'a layer', fail);
    if (FOREIGN.test(layer.mediaType)) throw fail(`the layer ${layer.digest} is foreign: its content is not in the registry`);
    if (!LAYER_TYPES.has(layer.mediaType)) throw fail(`the layer ${layer.digest} is of unknown type ${quote(layer.mediaType)}`);
    return layer;
  });
  return { kind: 'manifest', config, layers };
}

function parseFile(entry: unknown, fail: Fail): ArtifactFile {
  const descriptor = parseDescriptor(entry, 'a blob', fail);
  const annotations = isObject(entry) && isObject(entry.annotations) ? entry.annotations : {};
  const title = annotations[TITLE];
  if (title !== undefined && typeof title !== 'string') throw fail(`the title of ${descriptor.digest} is not a text`);
  const name = title === undefined || title === '' ? descriptor.digest.replace(':', '-') : title;
  return { descriptor, name, unpack: annotations[UNPACK] === 'true' };
}

function parseDescriptor(value: unknown, what: string, fail: Fail): Descriptor {
  if (!isObject(value)) throw fail(`${what} in it is not an object`);
  const { mediaType, digest, size } = value;
  if (typeof digest !== 'string' || !isDigest(digest)) throw fail(`${what} in it has no valid sha256 digest`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw fail(`${what} in it has no valid size`);
  return { mediaType: typeof mediaType === 'string' ? mediaType : '', digest, size };
}

const quote = (text: string): string => JSON.stringify(text.slice(0, 120));
