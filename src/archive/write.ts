/**
 * Archives of images as others read them. The OCI form is an image layout
 * that `docker load` understands too: manifest.json names its blobs. The
 * docker form is what `docker save` wrote before, with plain layers. Names
 * stand in full in both, so that no reader fills in a host of its own.
 */
import type { Digest } from '../ids/index.ts';
import { documentMember, type OpenedMember, type OutgoingMember, writeTar } from './tar-writer.ts';

/** A layer on its way into an archive. */
export interface OutgoingLayer {
  /** Of the bytes that open() gives. */
  readonly digest: Digest;
  open(signal: AbortSignal): Promise<OpenedMember>;
}

/** An image on its way into an archive. */
export interface OutgoingImage {
  /** HOST/NAME:TAG */
  readonly tags: readonly string[];
  /** HOST/NAME@DIGEST of the manifest, for an image without tags. */
  readonly digestNames: readonly string[];
  readonly config: { readonly digest: Digest; readonly bytes: Uint8Array };
  /** Lowest first. */
  readonly layers: readonly OutgoingLayer[];
}

/** The same with the manifest that names config and layers. */
export interface OutgoingOciImage extends OutgoingImage {
  readonly manifest: { readonly digest: Digest; readonly bytes: Uint8Array; readonly mediaType: string };
  readonly platform: { readonly os: string; readonly architecture: string; readonly variant?: string };
}

/** An OCI image layout as a tar. */
export function writeOciArchive(images: readonly OutgoingOciImage[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const members = new Map<string, OutgoingMember>();
  const add = (member: OutgoingMember): void => void members.set(member.name, member);
  for (const directory of ['blobs/', 'blobs/sha256/']) add(documentMember(directory, new Uint8Array()));
  for (const { manifest, config, layers } of images) {
    for (const { digest, bytes } of [manifest, config]) add(documentMember(blobName(digest), bytes));
    for (const layer of layers) add({ name: blobName(layer.digest), open: (each) => layer.open(each) });
  }
  add(jsonMember('oci-layout', { imageLayoutVersion: '1.0.0' }));
  add(
    jsonMember('index.json', {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: images.flatMap(entriesOf),
    }),
  );
  add(
    jsonMember(
      'manifest.json',
      images.map((image) => dockerRow(image, blobName, blobName(image.config.digest))),
    ),
  );
  return writeTar([...members.values()], signal);
}

/** The older archive of `docker save`; the layers' digests are those of plain tars, their diffIDs. */
export function writeDockerArchive(images: readonly OutgoingImage[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const members = new Map<string, OutgoingMember>();
  const layerName = (digest: Digest): string => `${hexOf(digest)}/layer.tar`;
  const configName = (digest: Digest): string => `${hexOf(digest)}.json`;
  for (const { config, layers } of images) {
    members.set(configName(config.digest), documentMember(configName(config.digest), config.bytes));
    for (const layer of layers) {
      const directory = `${hexOf(layer.digest)}/`;
      members.set(directory, documentMember(directory, new Uint8Array()));
      members.set(layerName(layer.digest), { name: layerName(layer.digest), open: (each) => layer.open(each) });
    }
  }
  const rows = images.map((image) => dockerRow(image, layerName, configName(image.config.digest)));
  members.set('manifest.json', jsonMember('manifest.json', rows));
  return writeTar([...members.values()], signal);
}

/** One entry a name; readers look for a name among the entries, not in them. */
function entriesOf({ manifest, platform, tags, digestNames }: OutgoingOciImage): object[] {
  const { mediaType, digest, bytes } = manifest;
  const descriptor = { mediaType, digest, size: bytes.length, platform };
  const names = tags.length > 0 ? tags : digestNames;
  if (names.length === 0) return [descriptor];
  return names.map((name) => ({
    ...descriptor,
    annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name },
  }));
}

function dockerRow(image: OutgoingImage, layerName: (digest: Digest) => string, config: string): object {
  return { Config: config, RepoTags: image.tags, Layers: image.layers.map(({ digest }) => layerName(digest)) };
}

const jsonMember = (name: string, value: unknown): OutgoingMember => documentMember(name, Buffer.from(JSON.stringify(value)));
const hexOf = (digest: Digest): string => digest.slice('sha256:'.length);
const blobName = (digest: Digest): string => `blobs/sha256/${hexOf(digest)}`;
