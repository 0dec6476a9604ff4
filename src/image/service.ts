/**
 * The image store: the catalogue of images, the layers they are made of and
 * the pulls that bring them. Everything that only asks is answered from
 * memory. What is on disk and what the store says are matched at the start,
 * the same way after a clean end and after a crash.
 */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Scratch } from '../archive/index.ts';
import { abortError, Limiter, SingleFlight } from '../async/index.ts';
import type { Config } from '../config/index.ts';
import { BlobStore, TRANSFER_POLICY, type TransferPolicy } from '../content/index.ts';
import { asRuntimeError, diskError, isRuntimeError } from '../errors/index.ts';
import type { ImageId } from '../ids/index.ts';
import type { Logger } from '../log/index.ts';
import { formatReference, parseReference, RegistryClient } from '../registry/index.ts';
import { type LayerRecord, LayerStore, type Trash } from '../snapshot/index.ts';
import type { Store } from '../store/index.ts';
import { monotonicNs, nowNs } from '../sys/index.ts';
import type { Arrival } from './arrival.ts';
import { Catalog, namesOf } from './catalog.ts';
import { ImportDirectory, type ImportRecord } from './import-dir.ts';
import { LayerSet } from './layer-set.ts';
import { keptLayers, type LayerSource } from './layer-source.ts';
import { loadArchive } from './load.ts';
import { ProgressBoard } from './progress.ts';
import { type ResolvedImage, resolveImage } from './pull.ts';
import { type PushParts, pushImage } from './push.ts';
import { type SaveParts, saveImages } from './save.ts';
import type {
  ImageFsUsage,
  ImageRecord,
  ImageService,
  LoadedImage,
  LoadRequest,
  PullObserver,
  PullProgress,
  PushedImage,
  PushRequest,
  RegistryAuth,
  RegistryTest,
  SaveRequest,
} from './types.ts';

/** What the image store works with. */
export interface ImageServiceOptions {
  /** The directory that holds layers and content, on the file system that images are to fill. */
  root: string;
  /** On the same file system; deletes what is discarded, never beside a pull. */
  trash: Trash;
  store: Store;
  config: Config['images'];
  logger: Logger;
  observer: PullObserver;
  /** How patient downloads are; the defaults when absent. */
  transfer?: TransferPolicy;
}

/** Opens the image store: matches rows and directories, discards what is neither. */
export function createImageService(options: ImageServiceOptions): ImageService {
  return new Images(options);
}

class Images implements ImageService {
  readonly #options: ImageServiceOptions;
  readonly #trash: Trash;
  readonly #blobs: BlobStore;
  readonly #layers: LayerStore;
  readonly #layerSet: LayerSet;
  readonly #catalog: Catalog;
  readonly #registry: RegistryClient;
  readonly #board = new ProgressBoard();
  readonly #flights = new SingleFlight<string, ImageId>();
  readonly #loads = new SingleFlight<string, LoadedImage[]>();
  readonly #layerSource: LayerSource;
  readonly #scratch: Scratch;
  readonly #imports: ImportDirectory;
  readonly #closing = new AbortController();
  /** Pulls, and what removals still do in the background. */
  readonly #running = new Set<Promise<unknown>>();
  /** The lower of an image without layers. */
  readonly #emptyDir: string;

  constructor(options: ImageServiceOptions) {
    const { root, store, config, logger } = options;
    this.#options = options;
    this.#emptyDir = join(root, 'empty');
    mkdirSync(this.#emptyDir, { recursive: true, mode: 0o755 });
    this.#trash = options.trash;
    this.#blobs = new BlobStore(join(root, 'content'));
    this.#scratch = new Scratch(join(root, 'content', 'scratch'));
    this.#layerSource = keptLayers(this.#blobs);
    this.#layers = new LayerStore({ dir: join(root, 'layers'), table: store.table<LayerRecord>('layers'), trash: this.#trash, logger });
    this.#registry = new RegistryClient(config);
    this.#layerSet = new LayerSet({
      layers: this.#layers,
      blobs: this.#blobs,
      downloads: new Limiter(config.parallelDownloads),
      policy: options.transfer ?? TRANSFER_POLICY,
      changed: () => this.#board.changed(),
    });
    this.#catalog = new Catalog(store, config.pinned, (record) => this.#isWhole(record));
    this.#imports = new ImportDirectory({
      dir: config.importDir,
      table: store.table<ImportRecord>('imports'),
      catalog: this.#catalog,
      load: (path, signal) => this.load({ path, pin: true, name: '' }, signal),
      logger,
    });
    this.#freeLayers();
    this.#blobs.retain(this.#catalog.blobsInUse());
  }

  async pull(text: string, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<ImageId> {
    const reference = parseReference(text);
    const imported = await this.#imports.brought(reference, signal);
    if (imported !== undefined) return imported;
    const secret = createHash('sha256')
      .update(JSON.stringify(auth ?? null))
      .digest('hex');
    const name = formatReference(reference);
    const arrival: Arrival = {
      open: () => this.#registry.open(reference, auth),
      origin: reference.host,
      registry: reference.host,
      label: name,
      what: `image ${name}`,
      references: [reference],
      authentic: true,
      keep: false,
    };
    return this.#flights.join(`${name} ${secret}`, { signal }, async (flightSignal) => {
      const both = AbortSignal.any([flightSignal, this.#closing.signal]);
      return (await this.#track(this.#observed(arrival, both))).id;
    });
  }

  load(request: LoadRequest, signal: AbortSignal): Promise<LoadedImage[]> {
    const key = JSON.stringify([request.path, request.name, request.pin]);
    return this.#loads.join(key, { signal }, (flightSignal) => {
      const both = AbortSignal.any([flightSignal, this.#closing.signal]);
      const parts = { scratch: this.#scratch, board: this.#board, nowNs, bring: (arrival: Arrival) => this.#observed(arrival, both) };
      return this.#track(loadArchive(parts, request, both));
    });
  }

  save(request: SaveRequest, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return saveImages(this.#outgoing(), request, AbortSignal.any([signal, this.#closing.signal]));
  }

  async push(request: PushRequest, signal: AbortSignal): Promise<PushedImage> {
    const openPush: PushParts['openPush'] = (reference, auth) => this.#registry.openPush(reference, auth);
    const both = AbortSignal.any([signal, this.#closing.signal]);
    const pushed = await this.#track(pushImage({ ...this.#outgoing(), openPush }, request, both));
    this.#options.logger.info({ image: request.image, ...pushed }, 'image pushed');
    return pushed;
  }

  /** What sending images on works with. */
  #outgoing(): SaveParts {
    return {
      catalog: this.#catalog,
      blobs: this.#blobs,
      layers: this.#layerSource,
      scratch: this.#scratch,
      use: (record) => this.#use(record),
    };
  }

  beginImport(): void {
    void this.#track(this.#imports.begin(this.#closing.signal)); // never rejects; close() waits for it
  }

  find(reference: string): Readonly<ImageRecord> | undefined {
    return this.#catalog.find(reference);
  }

  list(): Readonly<ImageRecord>[] {
    return this.#catalog.list();
  }

  async remove(reference: string): Promise<void> {
    const record = this.#catalog.find(reference);
    if (record === undefined) return;
    this.#catalog.remove(record.id);
    this.#options.logger.info({ imageId: record.id, repoTags: record.repoTags }, 'image removed');
    this.#freeLayers();
    await this.#freeBlobs(record);
  }

  async testRegistry(text: string, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<RegistryTest> {
    const reference = parseReference(text);
    const both = AbortSignal.any([signal, this.#closing.signal]);
    return { reference: formatReference(reference), endpoints: await this.#track(this.#registry.test(reference, auth, both)) };
  }

  fsUsage(): ImageFsUsage {
    const { diskBytes, inodes } = this.#layers.usage();
    return { mountpoint: this.#options.root, usedBytes: diskBytes, inodesUsed: inodes };
  }

  pulls(): PullProgress[] {
    return this.#board.list();
  }

  pullsChanged(signal: AbortSignal): Promise<void> {
    return this.#board.next(signal);
  }

  hold(id: ImageId, holder: string): string[] {
    const { layers } = this.#catalog.hold(id, holder);
    const topmostFirst = [...new Set(layers.toReversed())]; // the topmost of equal ones stays
    const cut = topmostFirst.findIndex((diffId) => this.#layers.get(diffId)?.opaqueRoot === true);
    const shown = cut < 0 ? topmostFirst : topmostFirst.slice(0, cut + 1);
    return shown.length === 0 ? [this.#emptyDir] : shown.map((diffId) => this.#layers.pathOf(diffId));
  }

  release(id: ImageId, holder: string): void {
    this.#catalog.release(id, holder);
    this.#freeLayers();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    await this.#layerSet.settled();
    await this.#registry[Symbol.asyncDispose]();
    await this.#layers.close();
  }

  /** An arrival with its progress, log line and figures. */
  async #observed(arrival: Arrival, signal: AbortSignal): Promise<LoadedImage> {
    const { logger, observer } = this.#options;
    const { label, registry } = arrival;
    const startedNs = monotonicNs();
    const progress = this.#board.begin(label, nowNs());
    const seconds = (): number => Number(monotonicNs() - startedNs) / 1e9;
    try {
      const { id, names, ...figures } = await this.#bring(arrival, { signal, progress });
      Object.assign(progress, { state: 'done', imageId: id });
      observer.pulled({ registry, seconds: seconds(), ...figures });
      logger.info({ reference: label, imageId: id, seconds: seconds(), ...figures }, 'image pulled');
      return { id, names };
    } catch (thrown) {
      const error = signal.aborted
        ? asRuntimeError(abortError(signal))
        : asRuntimeError(diskError(thrown, `writing ${this.#options.root}`));
      Object.assign(progress, { state: 'failed', error: error.message });
      observer.failed({ registry, reason: error.reason });
      logger.warn({ reference: label, seconds: seconds(), reason: error.reason, message: error.message }, 'pull failed');
      if (isRuntimeError(error, 'DISK_FULL')) await this.#trash.empty(); // what it left, and all else that may go
      throw error;
    } finally {
      this.#board.end(progress);
    }
  }

  async #bring(
    arrival: Arrival,
    { signal, progress }: { signal: AbortSignal; progress: PullProgress },
  ): Promise<LoadedImage & { bytes: number; layersPulled: number; layersShared: number }> {
    const { what, origin } = arrival;
    const source = await arrival.open();
    const image = await resolveImage(source, what, signal);
    using _quiet = this.#trash.holdOff();
    using cleanUp = new DisposableStack();
    cleanUp.defer(() => this.#freeLayers()); // after the pins are gone: what a failure left unused
    cleanUp.use(this.#layerSet.pin(image.layers.map((layer) => layer.diffId)));
    const show = (layers: PullProgress['layers']): void => {
      Object.assign(progress, { state: 'pulling', layers });
      this.#board.changed();
    };
    const { pulled, shared, bytes } = await this.#layerSet.fetch({ source, host: origin, layers: image.layers, what, signal, show });
    const names = await this.#commit(arrival, image, signal);
    return { id: image.id, names, bytes, layersPulled: pulled, layersShared: shared };
  }

  /** Enters the image and answers the names it got. */
  async #commit({ references, authentic, keep }: Arrival, image: ResolvedImage, signal: AbortSignal): Promise<string[]> {
    const diffIds = image.layers.map((layer) => layer.diffId);
    using pins = new DisposableStack();
    const fixup = await this.#layers.fixup(diffIds, (diffId) => pins.use(this.#layerSet.pin([diffId])));
    if (signal.aborted) throw abortError(signal);
    const layers = fixup === undefined ? diffIds : [...diffIds, fixup];
    const layerBytes = [...new Set(layers)].reduce((total, diffId) => total + (this.#layers.get(diffId)?.sizeBytes ?? 0n), 0n);
    const before = this.#catalog.find(image.id);
    // A digest in a name must be the image's: an archive may say anything.
    const honest = references.filter(({ digest }) => digest === undefined || (authentic && digest === image.targetDigest));
    const names = namesOf(honest, authentic ? image.targetDigest : undefined);
    try {
      await this.#blobs.put(image.id, image.configBytes);
      await this.#blobs.put(image.manifestDigest, image.manifestBytes);
      this.#catalog.commit({
        id: image.id,
        sizeBytes: layerBytes + BigInt(image.configBytes.length),
        config: image.config.config,
        layers,
        // one that a registry gave is worth more than one made up for an archive
        manifestDigest: authentic ? image.manifestDigest : (before?.manifestDigest ?? image.manifestDigest),
        pulledAtNs: nowNs(),
        ...(keep ? { keep } : {}),
        names,
      });
      return [...names.tags, ...names.digests];
    } finally {
      // what a failure left behind, or the manifest that another one took the place of
      await this.#freeBlobs(image);
      if (before !== undefined) await this.#freeBlobs(before);
    }
  }

  #isWhole(record: ImageRecord): boolean {
    const missing = record.layers.filter((diffId) => this.#layers.get(diffId) === undefined);
    if (missing.length === 0) return true;
    const { id, repoTags } = record;
    this.#options.logger.warn(
      { imageId: id, repoTags, missing },
      'image dropped: some of its layers are gone; it is pulled again when needed',
    );
    return false;
  }

  /** Drops every layer that no image, no holder and no pull needs. */
  #freeLayers(): void {
    const inUse = this.#catalog.layersInUse().union(this.#layerSet.pinned());
    for (const diffId of this.#layers.all()) {
      if (!inUse.has(diffId)) this.#layers.drop(diffId);
    }
  }

  /** Keeps what an image is made of; what is then left of one that was removed meanwhile goes. */
  #use(record: Readonly<ImageRecord>): AsyncDisposable {
    const use = this.#catalog.use(record);
    return {
      [Symbol.asyncDispose]: async () => {
        use[Symbol.dispose]();
        this.#freeLayers();
        await this.#freeBlobs(record);
      },
    };
  }

  async #freeBlobs(record: Pick<ImageRecord, 'id' | 'manifestDigest'>): Promise<void> {
    const inUse = this.#catalog.blobsInUse();
    for (const digest of [record.id, record.manifestDigest]) {
      if (!inUse.has(digest)) await this.#track(this.#blobs.remove(digest));
    }
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const tracked = work.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
    return tracked;
  }
}
