/**
 * Manifests and indexes of OCI and Docker schema 2, from bytes to a checked
 * form. Pure. Nothing of a document is believed before it was looked at:
 * sizes, digests and media types are checked here, so that the rest of the
 * pull handles only well-formed descriptors. Schema 1, foreign layers and
 * unknown types are refused with words.
 */
import { messageOf, RuntimeError } from '../errors/index.ts';
import { type Digest, isDigest } from '../ids/index.ts';

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
const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;
const FOREIGN = /nondistributable|foreign/;

/** Layers an image may have: overlayfs takes 500 lowers (fs/overlayfs OVL_MAX_STACK), one is kept for berth's own. */
const LAYERS_LIMIT = 499;
/** Entries of an index; real ones have under 50. */
const INDEX_LIMIT = 1000;

/** Parses a manifest or index; `what` names it in errors, `contentType` is the server's word, used when the document has none. */
export function parseManifest(bytes: Uint8Array, what: string, contentType = ''): ImageManifest | ImageIndex {
  const fail = (why: string): RuntimeError =>
    new RuntimeError(
      'unknown',
      'IMAGE_MANIFEST',
      `the manifest of ${what} cannot be used: ${why}; rebuild the image as OCI or Docker schema 2`,
    );
  const document = parseObject(bytes, fail);
  const declared = typeof document.mediaType === 'string' ? document.mediaType : '';
  const mediaType = declared === '' ? (contentType.split(';')[0]?.trim() ?? '') : declared;
  if (document.schemaVersion === 1 || SCHEMA_1.test(mediaType)) throw fail('it is Docker schema 1, which is obsolete');
  if (document.schemaVersion !== 2) throw fail('its schemaVersion is not 2');
  // A document that is both could mean different images to different readers (image-spec manifest.md, CVE-2021-41190).
  if (document.manifests !== undefined && (document.layers !== undefined || document.config !== undefined)) {
    throw fail('it claims to be an image and an index at once');
  }
  if (INDEX_TYPES.has(mediaType) || (!MANIFEST_TYPES.has(mediaType) && document.manifests !== undefined)) {
    return parseIndex(document.manifests, fail);
  }
  if (mediaType !== '' && !MANIFEST_TYPES.has(mediaType) && declared !== '') throw fail(`its media type ${quote(mediaType)} is unknown`);
  return parseImage(document, fail);
}

type Fail = (why: string) => RuntimeError;

function parseObject(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw fail(`it is not JSON (${messageOf(error).slice(0, 100)})`);
  }
  if (!isObject(value)) throw fail('it is not a JSON object');
  return value;
}

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

function parseImage(document: Record<string, unknown>, fail: Fail): ImageManifest {
  const config = parseDescriptor(document.config, 'the config', fail);
  if (config.mediaType !== '' && !CONFIG_TYPES.has(config.mediaType)) {
    throw fail(`its config is of type ${quote(config.mediaType)}: it is an artifact, not a container image`);
  }
  if (!Array.isArray(document.layers)) throw fail('it has no list of layers');
  if (document.layers.length > LAYERS_LIMIT) throw fail(`it has ${document.layers.length} layers, at most ${LAYERS_LIMIT} can be mounted`);
  const layers = document.layers.map((entry: unknown) => {
    const layer = parseDescriptor(entry, 'a layer', fail);
    if (FOREIGN.test(layer.mediaType)) throw fail(`the layer ${layer.digest} is foreign: its content is not in the registry`);
    if (!LAYER_TYPES.has(layer.mediaType)) throw fail(`the layer ${layer.digest} is of unknown type ${quote(layer.mediaType)}`);
    return layer;
  });
  return { kind: 'manifest', config, layers };
}

function parseDescriptor(value: unknown, what: string, fail: Fail): Descriptor {
  if (!isObject(value)) throw fail(`${what} in it is not an object`);
  const { mediaType, digest, size } = value;
  if (typeof digest !== 'string' || !isDigest(digest)) throw fail(`${what} in it has no valid sha256 digest`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw fail(`${what} in it has no valid size`);
  return { mediaType: typeof mediaType === 'string' ? mediaType : '', digest, size };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const quote = (text: string): string => JSON.stringify(text.slice(0, 120));
