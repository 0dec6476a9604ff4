/**
 * An OCI image layout: index.json names what is in it, blobs/sha256 holds it
 * by digest. Several entries of one name are one image for several platforms,
 * as are several without a name; they become an index, from which a pull
 * takes this node's. Source: OCI image-spec image-layout.md, annotations.md.
 */
import { type Digest, isDigest } from '../ids/index.ts';
import { archiveError, memberError, quoted } from './error.ts';
import { imagesOf, isObject, readJson } from './json.ts';
import type { Members } from './members.ts';
import { ArchiveSource, type Descriptor, digestOf, readVerified, type SourceParts } from './source.ts';
import type { ArchivedImage } from './types.ts';

const INDEX = 'index.json';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
/** Entries of other types are artifacts beside the images. */
const IMAGE_TYPES = new Set([
  '',
  OCI_INDEX,
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]);
/** BuildKit's notes about an image travel as manifests of their own. */
const NOTE = 'vnd.docker.reference.type';
const FULL_NAME = 'io.containerd.image.name';
const REF_NAME = 'org.opencontainers.image.ref.name';

interface Entry {
  readonly descriptor: Descriptor;
  /** As it is written; undefined when there is none. */
  readonly platform: unknown;
  /** A full name, ":TAG" for a bare tag, "" for neither. */
  readonly key: string;
}

/** The images of a layout; undefined when it is none. Throws IMAGE_ARCHIVE. */
export async function readOciLayout(members: Members): Promise<ArchivedImage[] | undefined> {
  const index = await readJson(members, INDEX);
  if (index === undefined) return undefined;
  await checkVersion(members);
  const place = { path: members.path, member: INDEX };
  const entries = imagesOf(isObject(index) ? index.manifests : undefined, place).flatMap((value) => entryOf(value, place));
  if (entries.length === 0) throw archiveError(members.path, 'it holds no container image, only artifacts of other kinds');
  return imagesFrom(members, entries);
}

async function checkVersion(members: Members): Promise<void> {
  const layout = await readJson(members, 'oci-layout');
  const version = isObject(layout) ? layout.imageLayoutVersion : undefined;
  // A layout that lacks the file is still understood; one of another version may not be.
  if (layout === undefined || (typeof version === 'string' && version.startsWith('1.'))) return;
  throw memberError({ path: members.path, member: 'oci-layout' }, 'names a version other than 1');
}

function entryOf(value: unknown, place: { path: string; member: string }): Entry[] {
  if (!isObject(value)) throw memberError(place, 'has an entry that is no object');
  const { mediaType = '', digest, size, platform } = value;
  const annotations = isObject(value.annotations) ? value.annotations : {};
  if (typeof mediaType !== 'string' || !IMAGE_TYPES.has(mediaType) || annotations[NOTE] !== undefined) return [];
  if (typeof digest !== 'string' || !isDigest(digest)) throw memberError(place, 'has an entry without a sha256 digest');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw memberError(place, `has no valid size for ${digest}`);
  return [{ descriptor: { mediaType, digest, size }, platform, key: keyOf(annotations) }];
}

function keyOf(annotations: Record<string, unknown>): string {
  const full = annotations[FULL_NAME];
  if (typeof full === 'string' && full !== '') return full;
  const name = annotations[REF_NAME];
  if (typeof name !== 'string' || name === '') return '';
  return /[:/@]/.test(name) ? name : `:${name}`;
}

function imagesFrom(members: Members, entries: readonly Entry[]): ArchivedImage[] {
  const byKey = Map.groupBy(entries, (entry) => entry.key);
  const images = new Map<Digest, { parts: SourceParts; keys: string[]; authentic: boolean }>();
  for (const [key, all] of byKey) {
    const unique = [...new Map(all.map((entry) => [entry.descriptor.digest, entry])).values()];
    for (const alternatives of isOneImage(key, unique, members.path) ? [unique] : unique.map((entry) => [entry])) {
      const { digest, parts, authentic } = partsOf(members, alternatives);
      const image = images.get(digest) ?? { parts, keys: [], authentic };
      image.keys.push(key);
      images.set(digest, image);
    }
  }
  return [...images.values()].map(({ parts, keys, authentic }) => ({
    names: keys.filter((key) => key !== '' && !key.startsWith(':')),
    tags: keys.filter((key) => key.startsWith(':')).map((key) => key.slice(1)),
    authentic,
    source: new ArchiveSource(members, parts),
  }));
}

/** Are these entries of one key one image for several platforms? Without a key they may be several images. */
function isOneImage(key: string, entries: readonly Entry[], path: string): boolean {
  const platforms = new Set(entries.flatMap(({ platform }) => (isObject(platform) ? [JSON.stringify(platform)] : [])));
  if (platforms.size === entries.length || entries.length === 1) return true;
  if (key === '') return false;
  throw archiveError(path, `it has ${entries.length} images of the name ${quoted(key)} and does not tell them apart by platform`);
}

function partsOf(members: Members, [entry, ...others]: readonly Entry[]): { digest: Digest; parts: SourceParts; authentic: boolean } {
  if (entry === undefined) throw archiveError(members.path, 'it holds no image');
  if (others.length === 0) {
    const { mediaType, ...expected } = entry.descriptor;
    const top: SourceParts['top'] = async () => ({
      bytes: await readVerified(members, blobName(expected.digest), expected),
      digest: expected.digest,
      contentType: mediaType,
    });
    return { digest: expected.digest, parts: { top, memberOf: blobName }, authentic: true };
  }
  const manifests = [entry, ...others].map(({ descriptor, platform }) => ({ ...descriptor, platform }));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
  const digest = digestOf(bytes);
  return { digest, parts: { top: async () => ({ bytes, digest, contentType: OCI_INDEX }), memberOf: blobName }, authentic: false };
}

const blobName = (digest: Digest): string => `blobs/sha256/${digest.slice('sha256:'.length)}`;
