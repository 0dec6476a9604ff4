/**
 * The unpacked layers: one directory for each diffID, shared by all images.
 *
 *   layers/tmp-*  --publish: rename, then row-->  layers/HEX  --drop: row, then rename-->  trash/*
 *
 * The layer's tar split (split.ts) comes and goes with it: tmp-*.split, then
 * splits/HEX. A layer that was
 * found damaged counts as absent for pulls, and the next one that brings it
 * replaces it; the damaged directory stays under another name as long as
 * containers may be using it, which is until the layer is dropped or the
 * machine reboots.
 *
 * Invariant: a directory without a row is litter, a row without a directory
 * is void; recover() ends both. A layer is durable once its file system was
 * synced after it was published; one that is not does not outlive a reboot,
 * since its files may be empty after a power cut.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { diskError, errnoOf, messageOf } from '../errors/index.ts';
import type { DiffId, Digest } from '../ids/index.ts';
import type { Logger } from '../log/index.ts';
import type { Table } from '../store/index.ts';
import { bootId, exchangePaths, syncfs } from '../sys/index.ts';
import type { LayerContent, LowerLink } from './layer-content.ts';
import { stagedSplit } from './split.ts';
import type { Trash } from './trash.ts';
import { runTask } from './workers.ts';

/** The row of a layer; its key is the diffID. */
export interface LayerRecord {
  /** Bytes of its files. */
  sizeBytes: bigint;
  /** Bytes and inodes it takes on disk, counted while unpacking. */
  diskBytes: bigint;
  inodes: bigint;
  /** Directories it has only because something is in them, one character a byte. */
  implied: string[];
  /** Hard links to files of lower layers; none when absent, as in rows of 0.1. */
  lowerLinks?: LowerLink[];
  /** It hides every layer below it. */
  opaqueRoot: boolean;
  /** The boot it was unpacked in. */
  bootId: string;
  /** It is certainly on disk. */
  durable: boolean;
  /** Bytes of its tar. */
  tarBytes: number;
  /** Digest of its tar where that is not its key. */
  tarDigest?: Digest;
  /** It was found not to be what was unpacked. */
  damaged?: boolean;
  /** Damaged directories that it replaced and that mounts may still show, with the boot those are of. */
  retired?: { name: string; bootId: string }[];
}

/** What was unpacked, and how its tar is verified. */
export interface PublishedContent extends LayerContent {
  /** Bytes of its tar. */
  tarBytes: number;
  /** Digest of its tar, when that is not its key. */
  tarDigest?: Digest;
}

/** What the layer store works with. */
export interface LayerStoreOptions {
  /** Directory of the layers; their splits are in one beside it. */
  dir: string;
  table: Table<LayerRecord>;
  trash: Trash;
  logger: Logger;
}

/** A directory to unpack into; disposing of it discards what was not published. */
export interface Staging extends Disposable {
  readonly dir: string;
}

const STAGING_PREFIX = 'tmp-';
/** Layers of one pull, and of pulls close together, become durable by one sync. */
const SYNC_DELAY_MS = 1_000;

export class LayerStore {
  readonly #options: LayerStoreOptions;
  /** Directory of the tar splits. */
  readonly #splits: string;
  readonly #records = new Map<DiffId, LayerRecord>();
  /** Damaged directories that were replaced and are kept. */
  readonly #retired = new Set<string>();
  #diskBytes = 0n;
  #inodes = 0n;
  #syncTimer: NodeJS.Timeout | undefined;
  #syncing: Promise<void> | undefined;

  constructor(options: LayerStoreOptions) {
    this.#options = options;
    this.#splits = join(dirname(options.dir), 'splits');
    for (const dir of [options.dir, this.#splits]) mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#recover();
  }

  get(diffId: DiffId): Readonly<LayerRecord> | undefined {
    return this.#records.get(diffId);
  }

  /** It is here, and not known to be damaged. */
  isWhole(diffId: DiffId): boolean {
    const record = this.#records.get(diffId);
    return record !== undefined && record.damaged !== true;
  }

  /** Every layer there is. */
  all(): DiffId[] {
    return [...this.#records.keys()];
  }

  /** Its directory, whether it exists or not. */
  pathOf(diffId: DiffId): string {
    return join(this.#options.dir, diffId.slice('sha256:'.length));
  }

  /** Bytes and inodes of all layers, from counters. */
  usage(): { diskBytes: bigint; inodes: bigint } {
    return { diskBytes: this.#diskBytes, inodes: this.#inodes };
  }

  /** A fresh directory to unpack into. */
  stage(): Staging {
    const dir = join(this.#options.dir, `${STAGING_PREFIX}${randomUUID()}`);
    mkdirSync(dir, { mode: 0o755 });
    return {
      dir,
      [Symbol.dispose]: () => {
        if (!this.#retired.has(dir)) this.#options.trash.discard(dir);
        this.#options.trash.discard(stagedSplit(dir));
      },
    };
  }

  /** Makes a verified staging directory the layer `diffId`. A whole one that is there stays: another pull was faster. */
  publish(diffId: DiffId, staging: Staging, content: PublishedContent): void {
    if (this.isWhole(diffId)) return;
    const damaged = this.#records.get(diffId);
    const retired = damaged === undefined ? [] : this.#replace(diffId, staging, damaged);
    renameSync(stagedSplit(staging.dir), this.#splitOf(diffId));
    if (damaged === undefined) renameSync(staging.dir, this.pathOf(diffId));
    const record: LayerRecord = {
      sizeBytes: BigInt(content.sizeBytes),
      diskBytes: BigInt(content.diskBytes),
      inodes: BigInt(content.inodes),
      implied: content.implied,
      ...(content.lowerLinks.length === 0 ? {} : { lowerLinks: content.lowerLinks }),
      opaqueRoot: content.opaqueRoot,
      bootId: bootId(),
      durable: false,
      tarBytes: content.tarBytes,
      ...(content.tarDigest === undefined ? {} : { tarDigest: content.tarDigest }),
      ...(retired.length === 0 ? {} : { retired }),
    };
    try {
      this.#options.table.put(diffId, record);
    } catch (error) {
      this.#discard(diffId);
      throw error;
    }
    this.#add(diffId, record);
    this.#syncSoon();
  }

  /**
   * Compares a layer with what was unpacked, reading all of it, and remembers the outcome. Answers one sentence a
   * damaged file, bounded; none when it is whole or was dropped meanwhile.
   */
  async verify(diffId: DiffId, signal: AbortSignal): Promise<string[]> {
    const { tarDigest = diffId } = this.#records.get(diffId) ?? {};
    const problems = await runTask({ kind: 'verify', dir: this.pathOf(diffId), split: this.#splitOf(diffId), tarDigest }, signal);
    const record = this.#records.get(diffId);
    if (record === undefined) return [];
    if ((record.damaged === true) !== problems.length > 0) {
      record.damaged = problems.length > 0;
      this.#options.table.put(diffId, record);
    }
    return problems;
  }

  /** Writes the layer's tar to the new file `to`. Rejects with IMAGE_LAYER when it is damaged, DISK_FULL. */
  async assemble(diffId: DiffId, to: string, signal: AbortSignal): Promise<void> {
    try {
      await runTask({ kind: 'assemble', dir: this.pathOf(diffId), split: this.#splitOf(diffId), to }, signal);
    } catch (error) {
      throw diskError(error, `writing ${dirname(to)}`);
    }
  }

  /** What all layers take on disk, by a walk. */
  async measure(): Promise<{ diskBytes: bigint; inodes: bigint }> {
    let [diskBytes, inodes] = [0n, 0n];
    for (const diffId of this.all()) {
      const { usedBytes, inodesUsed } = await runTask({ kind: 'usage', dir: this.pathOf(diffId) });
      diskBytes += usedBytes;
      inodes += inodesUsed;
    }
    return { diskBytes, inodes };
  }

  /**
   * The layer to put on top of `diffIds` (lowest first) so that directories
   * which upper ones only imply keep their lower owner and mode, and hard links
   * to files of lower ones exist; undefined when none is needed. All layers
   * must be published. `onFound` is told of it before it exists, to keep it
   * from being freed. Rejects with IMAGE_LAYER for a link to a file that is nowhere.
   */
  async fixup(diffIds: readonly DiffId[], onFound: (diffId: DiffId) => void): Promise<DiffId | undefined> {
    const layers = diffIds.toReversed().flatMap((diffId) => {
      const record = this.#records.get(diffId);
      if (record === undefined) return [];
      const { implied, lowerLinks = [], opaqueRoot } = record;
      return [{ dir: this.pathOf(diffId), implied: new Set(implied), lowerLinks, opaqueRoot }];
    });
    using staging = this.stage();
    const made = await runTask({ kind: 'fixup', layers, dir: staging.dir });
    if (made === undefined) return undefined;
    const { digest, tarDigest, ...content } = made;
    const diffId = digest as DiffId; // the worker's own digests, as the next
    onFound(diffId);
    this.publish(diffId, staging, { ...content, implied: [], lowerLinks: [], opaqueRoot: false, tarDigest: tarDigest as Digest });
    return diffId;
  }

  /** Removes a layer nobody uses; absent is success. */
  drop(diffId: DiffId): void {
    const record = this.#records.get(diffId);
    if (record === undefined) return;
    this.#options.table.delete(diffId);
    this.#forget(diffId);
    this.#discard(diffId);
    for (const { name } of record.retired ?? []) {
      this.#retired.delete(join(this.#options.dir, name));
      this.#options.trash.discard(join(this.#options.dir, name));
    }
  }

  /** Waits for the sync under way. What is not durable yet is synced after the next start. */
  async close(): Promise<void> {
    clearTimeout(this.#syncTimer);
    await this.#syncing;
  }

  #add(diffId: DiffId, record: LayerRecord): void {
    this.#records.set(diffId, record);
    this.#diskBytes += record.diskBytes;
    this.#inodes += record.inodes;
  }

  #forget(diffId: DiffId): void {
    const record = this.#records.get(diffId);
    if (record === undefined) return;
    this.#records.delete(diffId);
    this.#diskBytes -= record.diskBytes;
    this.#inodes -= record.inodes;
  }

  #splitOf(diffId: DiffId): string {
    return join(this.#splits, basename(this.pathOf(diffId)));
  }

  /** A layer's directory and its split; absent is success. */
  #discard(diffId: DiffId): void {
    this.#options.trash.discard(this.pathOf(diffId));
    this.#options.trash.discard(this.#splitOf(diffId));
  }

  /**
   * Puts the staged layer in the place of a damaged one, which goes on under the staging directory's name. In one step
   * (exchange), so that at no moment there is no layer; and told to the store before, so that a crash forgets neither.
   */
  #replace(diffId: DiffId, staging: Staging, damaged: LayerRecord): NonNullable<LayerRecord['retired']> {
    const retired = [...(damaged.retired ?? []), { name: basename(staging.dir), bootId: bootId() }];
    this.#options.table.put(diffId, { ...damaged, retired });
    exchangePaths(staging.dir, this.pathOf(diffId));
    this.#retired.add(staging.dir);
    this.#forget(diffId);
    return retired;
  }

  #recover(): void {
    const { dir, table, trash, logger } = this.#options;
    for (const { id, value } of table.all()) {
      const diffId = id as DiffId; // put() wrote it
      const present = statSync(this.pathOf(diffId), { throwIfNoEntry: false })?.isDirectory() === true;
      if (present && (value.durable || value.bootId === bootId())) {
        for (const { name, bootId: boot } of value.retired ?? []) if (boot === bootId()) this.#retired.add(join(dir, name));
        this.#add(diffId, value);
        continue;
      }
      const why = present ? 'it was not yet on disk at the reboot' : 'its directory is missing';
      logger.warn({ diffId, why }, 'layer dropped');
      table.delete(diffId);
    }
    const known = new Set([...this.all().flatMap((diffId) => [this.pathOf(diffId), this.#splitOf(diffId)]), ...this.#retired]);
    for (const place of [dir, this.#splits]) {
      for (const name of readdirSync(place)) if (!known.has(join(place, name))) trash.discard(join(place, name));
    }
    if (this.#pending().length > 0) this.#syncSoon();
  }

  #pending(): DiffId[] {
    return this.all().filter((diffId) => this.#records.get(diffId)?.durable === false);
  }

  #syncSoon(): void {
    clearTimeout(this.#syncTimer);
    this.#syncTimer = setTimeout(() => {
      this.#syncing = this.#sync();
    }, SYNC_DELAY_MS).unref();
  }

  async #sync(): Promise<void> {
    const { dir, table, logger } = this.#options;
    const pending = this.#pending(); // only these were published before the sync begins
    try {
      await syncfs(dir);
      for (const diffId of pending) {
        const record = this.#records.get(diffId);
        if (record === undefined) continue; // dropped meanwhile
        record.durable = true;
        table.put(diffId, record);
      }
    } catch (error) {
      // The layers stay as they are, to be unpacked again after a reboot; the next pull syncs again.
      logger.warn({ dir, code: errnoOf(error), reason: messageOf(error) }, 'layers could not be made durable');
    }
  }
}
