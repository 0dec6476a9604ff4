/**
 * Builds container images in memory and pushes them to a registry over HTTP,
 * for the demo, the benchmarks and the tests. Everything is deterministic:
 * the same input gives the same digests. Written for small images; nothing
 * here is used by the daemon.
 */
import { createHash } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { buildTar, type TarEntry } from './tar.ts';

export type { TarEntry } from './tar.ts';

/** One layer to build: its members, or a ready tar. */
export interface LayerSource {
  entries?: readonly TarEntry[];
  tar?: Buffer;
  /** 'gzip' when absent. */
  compression?: 'gzip' | 'zstd' | 'none';
}

/** What of the image's config can be set (OCI image-spec config.md, `config`). */
export interface RunConfig {
  User?: string;
  Env?: string[];
  Entrypoint?: string[];
  Cmd?: string[];
  WorkingDir?: string;
  StopSignal?: string;
  Volumes?: Record<string, object>;
  Labels?: Record<string, string>;
}

/** An image to build. */
export interface ImageSource {
  layers: readonly LayerSource[];
  config?: RunConfig;
  /** Media types; 'oci' when absent. */
  format?: 'oci' | 'docker';
  /** This machine's when absent, in Go's names. */
  architecture?: string;
  os?: string;
}

/** A blob or manifest by its digest (OCI image-spec descriptor.md). */
export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

/** A built image: everything a registry must hold for it. */
export interface BuiltImage {
  /** Config and layers by digest. */
  blobs: Map<string, Buffer>;
  manifest: { bytes: Buffer; descriptor: Descriptor };
  /** Digest of the config: the image id. */
  id: string;
  diffIds: string[];
  layers: Descriptor[];
  architecture: string;
  os: string;
}

const MEDIA_TYPES = {
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    index: 'application/vnd.oci.image.index.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar',
    suffix: { gzip: '+gzip', zstd: '+zstd', none: '' },
  },
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar',
    suffix: { gzip: '.gzip', zstd: '.zstd', none: '' },
  },
} as const;

/** Node's name of this architecture in Go's words, as images carry it. */
const hostArchitecture = (): string => (process.arch === 'x64' ? 'amd64' : process.arch);

/** `sha256:` and the hex digest of `bytes`. */
export const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** A layer as an image refers to it. */
export interface LayerDescriptor {
  descriptor: Descriptor;
  /** Digest of its tar. */
  diffId: string;
}

/** Builds one layer: its compressed bytes and what an image says of them. */
export function packLayer(layer: LayerSource, format: 'oci' | 'docker' = 'oci'): LayerDescriptor & { bytes: Buffer } {
  const types = MEDIA_TYPES[format];
  const compression = layer.compression ?? 'gzip';
  const tar = layer.tar ?? buildTar(layer.entries ?? []);
  const bytes = compress(tar, compression);
  return { bytes, descriptor: descriptorOf(bytes, types.layer + types.suffix[compression]), diffId: digestOf(tar) };
}

/** Builds one image of layers that are kept elsewhere: its blobs are the config alone. */
export function assembleImage(layers: readonly LayerDescriptor[], source: Omit<ImageSource, 'layers'> = {}): BuiltImage {
  const types = MEDIA_TYPES[source.format ?? 'oci'];
  const architecture = source.architecture ?? hostArchitecture();
  const os = source.os ?? 'linux';
  const diffIds = layers.map(({ diffId }) => diffId);
  const descriptors = layers.map(({ descriptor }) => descriptor);
  const config = Buffer.from(
    JSON.stringify({ architecture, os, config: source.config ?? {}, rootfs: { type: 'layers', diff_ids: diffIds } }),
  );
  const configDescriptor = descriptorOf(config, types.config);
  const manifest = document({ schemaVersion: 2, mediaType: types.manifest, config: configDescriptor, layers: descriptors }, types.manifest);
  const id = configDescriptor.digest;
  return { blobs: new Map([[id, config]]), manifest, id, diffIds, layers: descriptors, architecture, os };
}

/** Builds one image. */
export function buildImage({ layers, ...source }: ImageSource): BuiltImage {
  const packed = layers.map((layer) => packLayer(layer, source.format));
  const image = assembleImage(packed, source);
  return { ...image, blobs: new Map([...packed.map(({ descriptor, bytes }) => [descriptor.digest, bytes] as const), ...image.blobs]) };
}

/** Builds an index over images of several platforms. */
export function buildIndex(images: readonly BuiltImage[], format: 'oci' | 'docker' = 'oci'): BuiltImage['manifest'] {
  const mediaType = MEDIA_TYPES[format].index;
  const manifests = images.map((image) => ({
    ...image.manifest.descriptor,
    platform: { architecture: image.architecture, os: image.os },
  }));
  return document({ schemaVersion: 2, mediaType, manifests }, mediaType);
}

function document(value: object, mediaType: string): BuiltImage['manifest'] {
  const bytes = Buffer.from(JSON.stringify(value));
  return { bytes, descriptor: descriptorOf(bytes, mediaType) };
}

const descriptorOf = (bytes: Buffer, mediaType: string): Descriptor => ({ mediaType, digest: digestOf(bytes), size: bytes.length });

function compress(tar: Buffer, compression: 'gzip' | 'zstd' | 'none'): Buffer {
  if (compression === 'gzip') return gzipSync(tar);
  return compression === 'zstd' ? zstdCompressSync(tar) : tar;
}

/** Where to push. */
export interface PushTarget {
  /** Base URL of the registry, http://127.0.0.1:5000. */
  url: string;
  repository: string;
  /** Tag or digest the manifest is put under. */
  reference: string;
  auth?: { user: string; password: string };
}

/** Pushes an image's blobs and its manifest. */
export async function pushImage(image: BuiltImage, target: PushTarget): Promise<void> {
  for (const [digest, bytes] of image.blobs) await pushBlob(target, digest, bytes);
  await pushManifest(image.manifest, target);
}

/** Puts a manifest or index whose blobs are there already. */
export async function pushManifest(manifest: BuiltImage['manifest'], target: PushTarget): Promise<void> {
  await call(target, 'PUT', `/v2/${target.repository}/manifests/${target.reference}`, {
    body: manifest.bytes,
    type: manifest.descriptor.mediaType,
  });
}

/** Uploads one blob; the reference does not matter. */
export async function pushBlob(target: PushTarget, digest: string, bytes: Buffer): Promise<void> {
  const begun = await call(target, 'POST', `/v2/${target.repository}/blobs/uploads/`, {});
  const location = new URL(begun.headers.get('location') ?? '', target.url);
  location.searchParams.set('digest', digest);
  await call(target, 'PUT', location.href, { body: bytes, type: 'application/octet-stream' });
}

async function call(target: PushTarget, method: string, path: string, content: { body?: Buffer; type?: string }): Promise<Response> {
  const headers: Record<string, string> = {};
  if (content.type !== undefined) headers['content-type'] = content.type;
  if (target.auth !== undefined) {
    headers.authorization = `Basic ${Buffer.from(`${target.auth.user}:${target.auth.password}`).toString('base64')}`;
  }
  const body = content.body === undefined ? {} : { body: new Uint8Array(content.body) };
  const response = await fetch(new URL(path, target.url), { method, headers, ...body });
  const text = await response.text(); // the connection is free only when the body was read
  if (!response.ok) throw new Error(`${method} ${path} of ${target.url} answered ${response.status}: ${text.slice(0, 200)}`);
  return response;
}
