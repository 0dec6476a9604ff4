/**
 * The unpacked layers: one directory for each diffID, shared by all images.
 *
 *   layers/tmp-*  --publish: rename, then row-->  layers/HEX  --drop: row, then rename-->  trash/*
 *
 * Invariant: a directory without a row is litter, a row without a directory
 * is void; recover() ends both. A layer is durable once its file system was
 * synced after it was published; one that is not does not outlive a reboot,
 * since its files may be empty after a power cut.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../errors/index.ts';
import type { DiffId } from '../ids/index.ts';
import type { Logger } from '../log/index.ts';
import type { Table } from '../store/index.ts';
import { bootId, syncfs } from '../sys/index.ts';
import type { LayerContent, LowerLink } from './layer-content.ts';
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
}

/** What the layer store works with. */
export interface LayerStoreOptions {
  /** Directory of the layers. */
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
  readonly #records = new Map<DiffId, LayerRecord>();
  #diskBytes = 0n;
  #inodes = 0n;
  #syncTimer: NodeJS.Timeout | undefined;
  #syncing: Promise<void> | undefined;

  constructor(options: LayerStoreOptions) {
    this.#options = options;
    mkdirSync(options.dir, { recursive: true, mode: 0o700 });
    this.#recover();
  }

  get(diffId: DiffId): Readonly<LayerRecord> | undefined {
    return this.#records.get(diffId);
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
    return { dir, [Symbol.dispose]: () => this.#options.trash.discard(dir) };
  }

  /** Makes a verified staging directory the layer `diffId`. When another pull was faster, its layer stays. */
  publish(diffId: DiffId, staging: Staging, content: LayerContent): void {
    if (this.#records.has(diffId)) return;
    renameSync(staging.dir, this.pathOf(diffId));
    const record: LayerRecord = {
      sizeBytes: BigInt(content.sizeBytes),
      diskBytes: BigInt(content.diskBytes),
      inodes: BigInt(content.inodes),
      implied: content.implied,
      ...(content.lowerLinks.length === 0 ? {} : { lowerLinks: content.lowerLinks }),
      opaqueRoot: content.opaqueRoot,
      bootId: bootId(),
      durable: false,
    };
    try {
      this.#options.table.put(diffId, record);
    } catch (error) {
      this.#options.trash.discard(this.pathOf(diffId));
      throw error;
    }
    this.#add(diffId, record);
    this.#syncSoon();
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
    const { digest, ...size } = made;
    const diffId = digest as DiffId; // the worker's own digest
    onFound(diffId);
    this.publish(diffId, staging, { ...size, implied: [], lowerLinks: [], opaqueRoot: false });
    return diffId;
  }

  /** Removes a layer nobody uses; absent is success. */
  drop(diffId: DiffId): void {
    const record = this.#records.get(diffId);
    if (record === undefined) return;
    this.#options.table.delete(diffId);
    this.#records.delete(diffId);
    this.#diskBytes -= record.diskBytes;
    this.#inodes -= record.inodes;
    this.#options.trash.discard(this.pathOf(diffId));
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

  #recover(): void {
    const { dir, table, trash, logger } = this.#options;
    for (const { id, value } of table.all()) {
      const diffId = id as DiffId; // put() wrote it
      const present = statSync(this.pathOf(diffId), { throwIfNoEntry: false })?.isDirectory() === true;
      if (present && (value.durable || value.bootId === bootId())) {
        this.#add(diffId, value);
        continue;
      }
      const why = present ? 'it was not yet on disk at the reboot' : 'its directory is missing';
      logger.warn({ diffId, why }, 'layer dropped');
      table.delete(diffId);
    }
    const known = new Set(this.all().map((diffId) => this.pathOf(diffId)));
    for (const name of readdirSync(dir)) {
      const path = join(dir, name);
      if (!known.has(path)) trash.discard(path);
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
