/**
 * The image store: the catalogue of images, the layers they are made of and
 * the pulls that bring them. Everything that only asks is answered from
 * memory. What is on disk and what the store says are matched at the start,
 * the same way after a clean end and after a crash.
 */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { abortError, Limiter, SingleFlight } from '../async/index.ts';
import type { Config } from '../config/index.ts';
import { BlobStore, PartStore, TRANSFER_POLICY, type TransferPolicy } from '../content/index.ts';
import { asRuntimeError, diskError, isRuntimeError, RuntimeError } from '../errors/index.ts';
import type { ImageId } from '../ids/index.ts';
import type { Logger } from '../log/index.ts';
import { formatReference, nameOf, parseReference, type Reference, RegistryClient } from '../registry/index.ts';
import { type LayerRecord, LayerStore, type Trash } from '../snapshot/index.ts';
import type { Store } from '../store/index.ts';
import { monotonicNs, nowNs } from '../sys/index.ts';
import { Catalog } from './catalog.ts';
import { type CheckParts, checkImages } from './check.ts';
import { LayerSet } from './layer-set.ts';
import { type LivePull, ProgressBoard } from './progress.ts';
import { type ResolvedImage, resolveImage } from './pull.ts';
import type {
  CheckRequest,
  CheckStep,
  ImageFsUsage,
  ImageRecord,
  ImageService,
  PullObserver,
  PullProgress,
  RegistryAuth,
  RegistryTest,
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
  readonly #parts: PartStore;
  readonly #layers: LayerStore;
  readonly #layerSet: LayerSet;
  readonly #catalog: Catalog;
  readonly #registry: RegistryClient;
  readonly #board = new ProgressBoard();
  readonly #flights = new SingleFlight<string, ImageId>();
  readonly #closing = new AbortController();
  /** Pulls, and what removals still do in the background. */
  readonly #running = new Set<Promise<unknown>>();
  /** The lower of an image without layers. */
  readonly #emptyDir: string;

  constructor(options: ImageServiceOptions) {
    const { root, store, config, logger, observer } = options;
    this.#options = options;
    this.#emptyDir = join(root, 'empty');
    mkdirSync(this.#emptyDir, { recursive: true, mode: 0o755 });
    this.#trash = options.trash;
    this.#blobs = new BlobStore(join(root, 'content'));
    this.#parts = new PartStore(join(root, 'content', 'parts'));
    this.#layers = new LayerStore({ dir: join(root, 'layers'), table: store.table<LayerRecord>('layers'), trash: this.#trash, logger });
    this.#registry = new RegistryClient(config);
    this.#layerSet = new LayerSet({
      layers: this.#layers,
      parts: this.#parts,
      downloads: new Limiter(config.parallelDownloads),
      policy: options.transfer ?? {
        ...TRANSFER_POLICY,
        floorBytesPerSecond: config.stallFloorBytesPerSecond,
        windowMs: config.stallWindowMs,
      },
      observe: (event) => observer.transfer(event),
      changed: () => this.#board.changed(),
    });
    this.#catalog = new Catalog(store, config.pinned, (record) => this.#isWhole(record));
    this.#freeLayers();
    this.#blobs.retain(this.#catalog.blobsInUse());
  }

  async pull(text: string, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<ImageId> {
    const reference = parseReference(text);
    const key = `${formatReference(reference)} ${secretHash(auth)}`;
    if (this.#flights.has(key)) this.#options.observer.transfer({ kind: 'joined', what: 'pull' });
    return this.#flights.join(key, { signal }, (flightSignal) => {
      const both = AbortSignal.any([flightSignal, this.#closing.signal]);
      return this.#track(this.#observedPull(reference, auth, both));
    });
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

  check(request: CheckRequest, signal: AbortSignal): AsyncGenerator<CheckStep> {
    const parts: CheckParts = {
      catalog: this.#catalog,
      layers: this.#layers,
      pin: (diffIds) => this.#layerSet.pin(diffIds),
      pullAgain: (record, pullSignal) => this.#pullAgain(record, pullSignal),
    };
    return checkImages(parts, request, AbortSignal.any([signal, this.#closing.signal]));
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
    this.#parts[Symbol.dispose]();
    await this.#registry[Symbol.asyncDispose]();
    await this.#layers.close();
  }

  /** Pulls an image of the node by the digest it came by, with the node's own credentials. */
  async #pullAgain(record: Readonly<ImageRecord>, signal: AbortSignal): Promise<void> {
    const [name] = record.repoDigests;
    if (name === undefined) {
      const message = `the image ${record.repoTags[0] ?? record.id} came from no registry; load it again (berth image load)`;
      throw new RuntimeError('precondition', 'IMAGE_NOT_IN_REGISTRY', message);
    }
    await this.pull(name, undefined, signal);
  }

  /** A pull with its progress, log line and figures. */
  async #observedPull(reference: Reference, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<ImageId> {
    const { logger, observer } = this.#options;
    const name = formatReference(reference);
    const registry = reference.host;
    const startedNs = monotonicNs();
    const progress = this.#board.begin(name, nowNs());
    const seconds = (): number => Number(monotonicNs() - startedNs) / 1e9;
    try {
      const { id, ...figures } = await this.#pull(reference, auth, { signal, progress });
      Object.assign(progress, { state: 'done', imageId: id });
      observer.pulled({ registry, seconds: seconds(), ...figures });
      logger.info({ reference: name, imageId: id, seconds: seconds(), ...figures }, 'image pulled');
      return id;
    } catch (thrown) {
      const error = signal.aborted
        ? asRuntimeError(abortError(signal))
        : asRuntimeError(diskError(thrown, `writing ${this.#options.root}`));
      Object.assign(progress, { state: 'failed', error: error.message });
      observer.failed({ registry, reason: error.reason });
      logger.warn({ reference: name, seconds: seconds(), reason: error.reason, message: error.message }, 'pull failed');
      // what it left, and all else that may go
      if (isRuntimeError(error, 'DISK_FULL')) await Promise.all([this.#parts.clear(), this.#trash.empty()]);
      throw error;
    } finally {
      this.#board.end(progress, nowNs());
    }
  }

  async #pull(
    reference: Reference,
    auth: RegistryAuth | undefined,
    { signal, progress }: { signal: AbortSignal; progress: LivePull },
  ): Promise<{ id: ImageId; bytes: number; layersPulled: number; layersShared: number }> {
    const session = await this.#registry.open(reference, auth);
    const image = await resolveImage(session, reference, signal);
    const what = `image ${formatReference(reference)}`;
    using _quiet = this.#trash.holdOff();
    using cleanUp = new DisposableStack();
    cleanUp.defer(() => this.#freeLayers()); // after the pins are gone: what a failure left unused
    cleanUp.use(this.#layerSet.pin(image.layers.map((layer) => layer.diffId)));
    const show = (layers: LivePull['layers']): void => {
      Object.assign(progress, { state: 'pulling', layers });
      this.#board.changed();
    };
    const { pulled, shared, bytes } = await this.#layerSet.fetch({
      source: session,
      host: reference.host,
      origin: `${nameOf(reference)} ${secretHash(auth)}`,
      layers: image.layers,
      what,
      signal,
      show,
    });
    await this.#commit(reference, image, signal);
    return { id: image.id, bytes, layersPulled: pulled, layersShared: shared };
  }

  async #commit(reference: Reference, image: ResolvedImage, signal: AbortSignal): Promise<void> {
    const diffIds = image.layers.map((layer) => layer.diffId);
    using pins = new DisposableStack();
    const fixup = await this.#layers.fixup(diffIds, (diffId) => pins.use(this.#layerSet.pin([diffId])));
    if (signal.aborted) throw abortError(signal);
    const layers = fixup === undefined ? diffIds : [...diffIds, fixup];
    const layerBytes = [...new Set(layers)].reduce((total, diffId) => total + (this.#layers.get(diffId)?.sizeBytes ?? 0n), 0n);
    const before = this.#catalog.find(image.id);
    try {
      if (image.artifactType === undefined) await this.#blobs.put(image.id, image.configBytes);
      await this.#blobs.put(image.manifestDigest, image.manifestBytes);
      this.#catalog.commit({
        id: image.id,
        sizeBytes: layerBytes + BigInt(image.configBytes.length || image.manifestBytes.length),
        config: image.config,
        ...(image.artifactType === undefined ? {} : { artifactType: image.artifactType }),
        layers,
        manifestDigest: image.manifestDigest,
        pulledAtNs: nowNs(),
        reference,
        targetDigest: image.targetDigest,
      });
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

/** Tells credentials apart without keeping them. */
function secretHash(auth: RegistryAuth | undefined): string {
  return createHash('sha256')
    .update(JSON.stringify(auth ?? null))
    .digest('hex');
}
