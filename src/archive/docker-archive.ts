/**
 * The archive of `docker save` before it was an OCI layout: manifest.json
 * lists images, each a config and layers that are plain members. There is no
 * manifest in OCI's sense, so one is made: the config is the archive's own,
 * byte by byte, and so the image's id is what docker says too. The digest of
 * a plain layer is its diffID; only compressed ones must be read for theirs.
 */
import { type Digest, isDigest } from '../ids/index.ts';
import { compressionOf, MAGIC_BYTES } from './compression.ts';
import { archiveError, memberError } from './error.ts';
import { imagesOf, isObject, NAMES_LIMIT, parseJson, readJson, textsOf } from './json.ts';
import { digestOfMember, lookAt, type Members, readMember } from './members.ts';
import { ArchiveSource, type Descriptor, type Document, digestOf } from './source.ts';
import type { ArchivedImage } from './types.ts';

const LIST = 'manifest.json';
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar';
/** Bytes of a config, as for a pull. */
const CONFIG_LIMIT_BYTES = 8 * 1024 * 1024;
/** Layers of an image: more than can be mounted is refused later, with words about that. */
const LAYERS_LIMIT = 10_000;

interface Row {
  readonly config: string;
  readonly layers: readonly string[];
  readonly names: readonly string[];
}

/** The images of a docker-archive; undefined when it is none. Throws IMAGE_ARCHIVE. */
export async function readDockerArchive(members: Members): Promise<ArchivedImage[] | undefined> {
  const list = await readJson(members, LIST);
  if (list === undefined || isObject(list)) return undefined; // an object is one image's own manifest: skopeo's dir form
  const place = { path: members.path, member: LIST };
  const known = new Map<string, Promise<Descriptor>>(); // layers that images share are looked at once
  return imagesOf(list, place).map((value) => {
    const row = rowOf(value, place);
    const image = new DockerImage(members, row, known);
    const source = new ArchiveSource(members, image);
    return { names: row.names, tags: [], authentic: false, source };
  });
}

function rowOf(value: unknown, place: { path: string; member: string }): Row {
  const row = isObject(value) ? value : {};
  const layers = textsOf(row.Layers, LAYERS_LIMIT);
  const names = textsOf(row.RepoTags, NAMES_LIMIT);
  if (typeof row.Config === 'string' && layers !== undefined && names !== undefined) return { config: row.Config, layers, names };
  throw memberError(place, 'has an image without Config, Layers and RepoTags as `docker save` writes them');
}

class DockerImage {
  readonly #members: Members;
  readonly #row: Row;
  readonly #known: Map<string, Promise<Descriptor>>;
  readonly #memberOf = new Map<Digest, string>();

  constructor(members: Members, row: Row, known: Map<string, Promise<Descriptor>>) {
    this.#members = members;
    this.#row = row;
    this.#known = known;
  }

  memberOf(digest: Digest): string | undefined {
    return this.#memberOf.get(digest);
  }

  /** The manifest that the archive lacks. */
  async top(signal: AbortSignal): Promise<Document> {
    const config = await this.#config();
    const layers: Descriptor[] = [];
    for (const [at, member] of this.#row.layers.entries()) {
      const layer = await this.#layer(member, config.diffIds[at], signal);
      this.#memberOf.set(layer.digest, member);
      layers.push(layer);
    }
    this.#memberOf.set(config.descriptor.digest, this.#row.config);
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST_TYPE, config: config.descriptor, layers }));
    return { bytes, digest: digestOf(bytes), contentType: MANIFEST_TYPE };
  }

  async #config(): Promise<{ descriptor: Descriptor; diffIds: readonly Digest[] }> {
    const place = { path: this.#members.path, member: this.#row.config };
    const bytes = await readMember(this.#members, place.member, CONFIG_LIMIT_BYTES);
    if (bytes === undefined) throw memberError(place, 'is missing');
    const digest = digestOf(bytes);
    const [, named] = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(place.member) ?? [];
    if (named !== undefined && digest !== `sha256:${named}`)
      throw memberError(place, 'is damaged: its content does not have the digest it is named by');
    const config = parseJson(bytes, place);
    const rootfs = isObject(config) && isObject(config.rootfs) ? config.rootfs : {};
    const diffIds = textsOf(rootfs.diff_ids, LAYERS_LIMIT);
    if (diffIds === undefined || !diffIds.every(isDigest)) throw memberError(place, 'has no list of sha256 digests as rootfs.diff_ids');
    const { length } = this.#row.layers;
    if (diffIds.length !== length)
      throw archiveError(
        place.path,
        `an image in it has ${length} layers, its config ${JSON.stringify(place.member)} names ${diffIds.length}`,
      );
    return { descriptor: { mediaType: CONFIG_TYPE, digest, size: bytes.length }, diffIds };
  }

  #layer(member: string, diffId: Digest | undefined, signal: AbortSignal): Promise<Descriptor> {
    const key = `${member} ${diffId}`;
    const known = this.#known.get(key) ?? this.#describe(member, diffId, signal);
    this.#known.set(key, known);
    known.catch(() => this.#known.delete(key)); // seen by whoever waits; the next image tries again
    return known;
  }

  async #describe(member: string, diffId: Digest | undefined, signal: AbortSignal): Promise<Descriptor> {
    const { size, head } = await lookAt(this.#members, member, MAGIC_BYTES);
    const compression = compressionOf(head);
    const isCompressed = compression === 'gzip' || compression === 'zstd';
    if (!isCompressed && diffId !== undefined) return { mediaType: LAYER_TYPE, digest: diffId, size };
    return { mediaType: `${LAYER_TYPE}+${compression}`, digest: await digestOfMember(this.#members, member, signal), size };
  }
}
