/**
 * The images on this node and their names. Everything is in memory and
 * written through the store first; a change is all or nothing.
 *
 * A tag names one image at a time and moves with the latest pull; a digest
 * name stays. A removed image is invisible at once; while containers hold it
 * its row stays, marked with its holders, so that its layers outlive a
 * restart of the daemon too.
 */
import { RuntimeError } from '../errors/index.ts';
import type { DiffId, Digest, ImageId } from '../ids/index.ts';
import { isDigest } from '../ids/index.ts';
import { digestNameOf, formatReference, parseReference, type Reference, tagOf } from '../registry/index.ts';
import type { Store, Table } from '../store/index.ts';
import type { ImageRecord } from './types.ts';

/** A row: the record, and who still holds it after its removal. */
interface ImageRow extends ImageRecord {
  removedHeldBy?: string[];
}

/** What a pull or an archive brings. */
export interface PulledImage extends Omit<ImageRecord, 'repoTags' | 'repoDigests' | 'pinned'> {
  /** Names it gets. */
  names: ImageNames;
}

/** Names of one image. */
export interface ImageNames {
  /** HOST/NAME:TAG */
  tags: readonly string[];
  /** HOST/NAME@DIGEST */
  digests: readonly string[];
}

/**
 * The names that references give an image. `targetDigest` is the digest of
 * what they named, an index or the manifest itself; undefined when it is of
 * our own making and names nothing.
 */
export function namesOf(references: readonly Reference[], targetDigest: Digest | undefined): ImageNames {
  const digests = targetDigest === undefined ? [] : references.map((reference) => digestNameOf(reference, targetDigest));
  return {
    tags: unique(references.flatMap((reference) => (reference.digest === undefined ? (tagOf(reference) ?? []) : []))),
    digests: unique(digests),
  };
}

/** The documents of an image, and the blobs of its layers where they are kept. */
export const blobsOf = (record: Pick<ImageRecord, 'id' | 'manifestDigest' | 'layerBlobs'>): Digest[] => [
  record.id,
  record.manifestDigest,
  ...record.layerBlobs,
];

/** Shorter ids could be meant as names: `cafe` is both. Explicit ones (sha256:ab) may be shorter. */
const BARE_PREFIX_LEAST = 7;

export class Catalog {
  readonly #store: Store;
  readonly #table: Table<ImageRow>;
  readonly #pinned: readonly Glob[];
  readonly #images = new Map<ImageId, ImageRecord>();
  /** Removed but held. */
  readonly #ghosts = new Map<ImageId, ImageRow>();
  /** Tag and digest names to ids. */
  readonly #names = new Map<string, ImageId>();
  readonly #holders = new Map<ImageId, Set<string>>();
  readonly #uses = new Set<{ record: Readonly<ImageRecord> }>();

  /** `pinned` are globs over NAME:TAG, or with an @ over NAME@DIGEST, where * is any text. Rows that `isWhole` denies are dropped. */
  constructor(store: Store, pinned: readonly string[], isWhole: (record: ImageRecord) => boolean) {
    this.#store = store;
    this.#table = store.table<ImageRow>('images');
    this.#pinned = pinned.map(parseGlob);
    for (const { value } of this.#table.all()) {
      if (!isWhole(value)) this.#table.delete(value.id);
      else if (value.removedHeldBy === undefined) this.#set({ ...value, pinned: this.#isPinned(value) });
      else {
        this.#ghosts.set(value.id, value);
        this.#holders.set(value.id, new Set(value.removedHeldBy));
      }
    }
  }

  list(): Readonly<ImageRecord>[] {
    return [...this.#images.values()];
  }

  /** By id, tag or digest name, then by unique prefix of an id. Throws IMAGE_REFERENCE and AMBIGUOUS_ID. */
  find(text: string): Readonly<ImageRecord> | undefined {
    const id = isDigest(text) ? text : `sha256:${text}`;
    const exact = this.#images.get(id as ImageId); // a text that is no digest is simply not there
    if (exact !== undefined || isDigest(text)) return exact;
    const prefix = /^(sha256:)?([0-9a-f]{1,64})$/.exec(text);
    const named = this.#named(text, prefix !== null);
    if (named !== undefined || prefix === null) return named;
    const isLongEnough = prefix[1] !== undefined || text.length >= BARE_PREFIX_LEAST;
    return isLongEnough ? this.#byPrefix(prefix[2] ?? '') : undefined;
  }

  /** Enters an image, moving its tags to it. */
  commit(image: PulledImage): ImageRecord {
    const { names, ...facts } = image;
    const before = this.#images.get(image.id);
    const merged = {
      ...facts,
      ...(before?.keep === true ? { keep: before.keep } : {}),
      repoTags: unique([...(before?.repoTags ?? []), ...names.tags]),
      repoDigests: unique([...(before?.repoDigests ?? []), ...names.digests]),
    };
    const record: ImageRecord = { ...merged, pinned: this.#isPinned(merged) };
    const robbed = this.#without(names.tags, image.id);
    this.#store.durable(() => {
      for (const other of [...robbed, record]) this.#table.put(other.id, other);
    });
    this.#ghosts.delete(image.id); // a removed one that came back keeps its holders
    for (const other of [...robbed, record]) this.#set(other);
    return record;
  }

  /** Removes the image with all its names; true when its layers and blobs may go too. */
  remove(id: ImageId): void {
    const record = this.#images.get(id);
    if (record === undefined) return;
    const holders = [...(this.#holders.get(id) ?? [])];
    const ghost: ImageRow | undefined = holders.length === 0 ? undefined : { ...record, removedHeldBy: holders };
    this.#store.durable(() => {
      if (ghost === undefined) this.#table.delete(id);
      else this.#table.put(id, ghost);
    });
    if (ghost !== undefined) this.#ghosts.set(id, ghost);
    this.#unset(record);
  }

  /** Holds an image, also one that was removed but is held by someone. Throws IMAGE_NOT_FOUND. */
  hold(id: ImageId, holder: string): Readonly<ImageRecord> {
    const ghost = this.#ghosts.get(id);
    const record = this.#images.get(id) ?? ghost;
    if (record === undefined) throw new RuntimeError('not-found', 'IMAGE_NOT_FOUND', `image ${id} is not on this node; pull it first`);
    const holders = this.#holders.get(id) ?? new Set();
    if (!holders.has(holder) && ghost !== undefined) this.#keepGhost(ghost, [...holders, holder]);
    this.#holders.set(id, holders.add(holder));
    return record;
  }

  /** Ends a hold; a removed image without holders is gone. */
  release(id: ImageId, holder: string): void {
    const holders = this.#holders.get(id);
    if (holders?.has(holder) !== true) return;
    const left = [...holders].filter((other) => other !== holder);
    const ghost = this.#ghosts.get(id);
    if (ghost !== undefined && left.length > 0) this.#keepGhost(ghost, left);
    else if (ghost !== undefined) {
      this.#table.delete(id);
      this.#ghosts.delete(id);
    }
    holders.delete(holder);
    if (holders.size === 0) this.#holders.delete(id);
  }

  /** Keeps what an image is made of, also when it is removed, until disposed of; a crash ends it too. */
  use(record: Readonly<ImageRecord>): Disposable {
    const use = { record };
    this.#uses.add(use);
    return { [Symbol.dispose]: () => void this.#uses.delete(use) };
  }

  /** Layers that an image, visible, held or in use, is made of. */
  layersInUse(): Set<DiffId> {
    return new Set(this.#wanted().flatMap((record) => record.layers));
  }

  /** Digests of the documents that belong to images. */
  blobsInUse(): Set<Digest> {
    return new Set(this.#wanted().flatMap(blobsOf));
  }

  #wanted(): Readonly<ImageRecord>[] {
    return [...this.#images.values(), ...this.#ghosts.values(), ...[...this.#uses].map(({ record }) => record)];
  }

  #named(text: string, maybeId: boolean): ImageRecord | undefined {
    let reference: Reference;
    try {
      reference = parseReference(text);
    } catch (error) {
      if (maybeId) return undefined; // no name, but it may be an id
      throw error;
    }
    // With tag and digest the digest decides, as it did when the image was pulled.
    const name = reference.digest === undefined ? formatReference(reference) : digestNameOf(reference, reference.digest);
    const id = this.#names.get(name);
    return id === undefined ? undefined : this.#images.get(id);
  }

  #byPrefix(hex: string): ImageRecord | undefined {
    const matches = [...this.#images.values()].filter((record) => record.id.startsWith(`sha256:${hex}`));
    if (matches.length > 1) {
      throw new RuntimeError('invalid', 'AMBIGUOUS_ID', `the image id ${hex} matches ${matches.length} images; give more characters of it`);
    }
    return matches[0];
  }

  /** The records that lose one of `tags` to the image `to`. */
  #without(tags: readonly string[], to: ImageId): ImageRecord[] {
    const losers = new Set(tags.flatMap((tag) => this.#names.get(tag) ?? []));
    losers.delete(to);
    return [...losers].flatMap((id) => {
      const record = this.#images.get(id);
      if (record === undefined) return [];
      const repoTags = record.repoTags.filter((name) => !tags.includes(name));
      return [{ ...record, repoTags, pinned: this.#isPinned({ ...record, repoTags }) }];
    });
  }

  #keepGhost(ghost: ImageRow, holders: string[]): void {
    const row = { ...ghost, removedHeldBy: holders };
    this.#table.put(ghost.id, row);
    this.#ghosts.set(ghost.id, row);
  }

  #set(record: ImageRecord): void {
    const before = this.#images.get(record.id);
    if (before !== undefined) this.#unset(before);
    this.#images.set(record.id, record);
    for (const name of [...record.repoTags, ...record.repoDigests]) this.#names.set(name, record.id);
  }

  #unset(record: ImageRecord): void {
    this.#images.delete(record.id);
    for (const name of [...record.repoTags, ...record.repoDigests]) {
      if (this.#names.get(name) === record.id) this.#names.delete(name);
    }
  }

  /** A digest name stays with its image for good: only a glob that means digests pins by it. */
  #isPinned({ keep, repoTags, repoDigests }: Pick<ImageRecord, 'keep' | 'repoTags' | 'repoDigests'>): boolean {
    const matches = ({ pattern, ofDigests }: Glob): boolean => (ofDigests ? repoDigests : repoTags).some((name) => pattern.test(name));
    return keep === true || this.#pinned.some(matches);
  }
}

const unique = (names: readonly string[]): string[] => [...new Set(names)];

interface Glob {
  pattern: RegExp;
  ofDigests: boolean;
}

function parseGlob(glob: string): Glob {
  const body = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return { pattern: new RegExp(`^${body}$`), ofDigests: glob.includes('@') };
}
