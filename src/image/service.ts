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
import { Limiter, SingleFlight } from '../async/index.ts';
import type { Config } from '../config/index.ts';
import { BlobStore, PartStore, TRANSFER_POLICY, type TransferPolicy } from '../content/index.ts';
import { RuntimeError } from '../errors/index.ts';
import type { ImageId } from '../ids/index.ts';
import type { Logger } from '../log/index.ts';
import { formatReference, nameOf, parseReference, RegistryClient } from '../registry/index.ts';
import { type LayerRecord, LayerStore, type Trash } from '../snapshot/index.ts';
import type { Store } from '../store/index.ts';
import { nowNs } from '../sys/index.ts';
import type { Arrival } from './arrival.ts';
import { type ArrivalParts, bringImage } from './arrivals.ts';
import { blobsOf, Catalog } from './catalog.ts';
import { checkImages } from './check.ts';
import { ImportDirectory, type ImportRecord } from './import-dir.ts';
import { LayerSet } from './layer-set.ts';
import { layerSource } from './layer-source.ts';
import { loadArchive } from './load.ts';
import { ProgressBoard } from './progress.ts';
import { pushImage } from './push.ts';
import { type SaveParts, saveImages } from './save.ts';
import type {
  CheckRequest,
  CheckStep,
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
import { freeBlobs, freeLayers } from './unused.ts';

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
  readonly #parts: ArrivalParts;
  readonly #registry: RegistryClient;
  readonly #flights = new SingleFlight<string, ImageId>();
  readonly #loads = new SingleFlight<string, LoadedImage[]>();
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
    this.#registry = new RegistryClient(config);
    this.#parts = this.#open(options);
    const { catalog, blobs } = this.#parts;
    this.#scratch = new Scratch(join(root, 'content', 'scratch'));
    this.#imports = new ImportDirectory({
      dir: config.importDir,
      table: store.table<ImportRecord>('imports'),
      catalog,
      load: (path, signal) => this.load({ path, pin: true, name: '' }, signal),
      logger,
    });
    freeLayers(this.#parts);
    blobs.retain(catalog.blobsInUse());
  }

  async pull(text: string, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<ImageId> {
    const reference = parseReference(text);
    const imported = await this.#imports.brought(reference, signal);
    if (imported !== undefined) return imported;
    const name = formatReference(reference);
    const secret = secretHash(auth);
    const arrival: Arrival = {
      open: () => this.#registry.open(reference, auth),
      origin: `${nameOf(reference)} ${secret}`,
      registry: reference.host,
      label: name,
      what: `image ${name}`,
      references: [reference],
      authentic: true,
      keep: false,
    };
    const key = `${name} ${secret}`;
    if (this.#flights.has(key)) this.#options.observer.transfer({ kind: 'joined', what: 'pull' });
    return this.#flights.join(key, { signal }, async (flightSignal) => {
      return (await this.#track(bringImage(this.#parts, arrival, this.#untilClosed(flightSignal)))).id;
    });
  }

  load(request: LoadRequest, signal: AbortSignal): Promise<LoadedImage[]> {
    const key = JSON.stringify([request.path, request.name, request.pin]);
    return this.#loads.join(key, { signal }, (flightSignal) => {
      const both = this.#untilClosed(flightSignal);
      const bring = (arrival: Arrival): Promise<LoadedImage> => bringImage(this.#parts, arrival, both);
      return this.#track(loadArchive({ scratch: this.#scratch, board: this.#parts.board, nowNs, bring }, request, both));
    });
  }

  save(request: SaveRequest, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return saveImages(this.#outgoing(), request, this.#untilClosed(signal));
  }

  async push(request: PushRequest, signal: AbortSignal): Promise<PushedImage> {
    const parts = { ...this.#outgoing(), openPush: this.#registry.openPush.bind(this.#registry) };
    const pushed = await this.#track(pushImage(parts, request, this.#untilClosed(signal)));
    this.#options.logger.info({ image: request.image, ...pushed }, 'image pushed');
    return pushed;
  }

  beginImport(): void {
    void this.#track(this.#imports.begin(this.#closing.signal)); // never rejects; close() waits for it
  }

  find(reference: string): Readonly<ImageRecord> | undefined {
    return this.#parts.catalog.find(reference);
  }

  list(): Readonly<ImageRecord>[] {
    return this.#parts.catalog.list();
  }

  async remove(reference: string): Promise<void> {
    const { catalog } = this.#parts;
    const record = catalog.find(reference);
    if (record === undefined) return;
    catalog.remove(record.id);
    this.#options.logger.info({ imageId: record.id, repoTags: record.repoTags }, 'image removed');
    freeLayers(this.#parts);
    await this.#track(freeBlobs(this.#parts, blobsOf(record)));
  }

  async testRegistry(text: string, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<RegistryTest> {
    const reference = parseReference(text);
    const endpoints = await this.#track(this.#registry.test(reference, auth, this.#untilClosed(signal)));
    return { reference: formatReference(reference), endpoints };
  }

  check(request: CheckRequest, signal: AbortSignal): AsyncGenerator<CheckStep> {
    const { catalog, layers, layerSet } = this.#parts;
    const pullAgain = (record: Readonly<ImageRecord>, pullSignal: AbortSignal): Promise<void> => this.#pullAgain(record, pullSignal);
    return checkImages({ catalog, layers, pin: (diffIds) => layerSet.pin(diffIds), pullAgain }, request, this.#untilClosed(signal));
  }

  fsUsage(): ImageFsUsage {
    const { diskBytes, inodes } = this.#parts.layers.usage();
    const { bytes, files } = this.#parts.blobs.usage();
    return { mountpoint: this.#options.root, usedBytes: diskBytes + bytes, inodesUsed: inodes + files };
  }

  pulls(): PullProgress[] {
    return this.#parts.board.list();
  }

  pullsChanged(signal: AbortSignal): Promise<void> {
    return this.#parts.board.next(signal);
  }

  hold(id: ImageId, holder: string): string[] {
    const { catalog, layers: store } = this.#parts;
    const { layers } = catalog.hold(id, holder);
    const topmostFirst = [...new Set(layers.toReversed())]; // the topmost of equal ones stays
    const cut = topmostFirst.findIndex((diffId) => store.get(diffId)?.opaqueRoot === true);
    const shown = cut < 0 ? topmostFirst : topmostFirst.slice(0, cut + 1);
    return shown.length === 0 ? [this.#emptyDir] : shown.map((diffId) => store.pathOf(diffId));
  }

  release(id: ImageId, holder: string): void {
    this.#parts.catalog.release(id, holder);
    freeLayers(this.#parts);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    await this.#parts.layerSet.settled();
    this.#parts.parts[Symbol.dispose]();
    await this.#registry[Symbol.asyncDispose]();
    await this.#parts.layers.close();
  }

  #open(options: ImageServiceOptions): ArrivalParts {
    const { root, store, config, logger, observer, trash } = options;
    const board = new ProgressBoard();
    const blobs = new BlobStore(join(root, 'content'));
    const parts = new PartStore(join(root, 'content', 'parts'));
    const layers = new LayerStore({ dir: join(root, 'layers'), table: store.table<LayerRecord>('layers'), trash, logger });
    const layerSet = new LayerSet({
      layers,
      parts,
      keepBlob: config.keepBlobs ? (descriptor, path) => blobs.adopt(descriptor.digest, path, descriptor.size) : undefined,
      downloads: new Limiter(config.parallelDownloads),
      policy: options.transfer ?? {
        ...TRANSFER_POLICY,
        floorBytesPerSecond: config.stallFloorBytesPerSecond,
        windowMs: config.stallWindowMs,
      },
      observe: (event) => observer.transfer(event),
      changed: () => board.changed(),
    });
    const isWhole = (record: ImageRecord): boolean => hasLayers(record, layers, logger);
    const catalog = new Catalog(store, config.pinned, isWhole);
    return { catalog, layers, layerSet, blobs, parts, board, trash, logger, observer, root };
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

  /** What sending images on works with. */
  #outgoing(): SaveParts {
    const { catalog, blobs, layers } = this.#parts;
    const scratch = this.#scratch;
    return { catalog, blobs, scratch, layers: layerSource({ blobs, layers, scratch }), use: (record) => this.#use(record) };
  }

  /** Keeps what an image is made of; what is then left of one that was removed meanwhile goes. */
  #use(record: Readonly<ImageRecord>): AsyncDisposable {
    const use = this.#parts.catalog.use(record);
    return {
      [Symbol.asyncDispose]: async () => {
        use[Symbol.dispose]();
        freeLayers(this.#parts);
        await this.#track(freeBlobs(this.#parts, blobsOf(record)));
      },
    };
  }

  #untilClosed(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#closing.signal]);
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const tracked = work.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
    return tracked;
  }
}

function hasLayers({ id, repoTags, layers }: ImageRecord, store: LayerStore, logger: Logger): boolean {
  const missing = layers.filter((diffId) => store.get(diffId) === undefined);
  if (missing.length === 0) return true;
  logger.warn({ imageId: id, repoTags, missing }, 'image dropped: some of its layers are gone; it is pulled again when needed');
  return false;
}

/** Tells credentials apart without keeping them. */
function secretHash(auth: RegistryAuth | undefined): string {
  return createHash('sha256')
    .update(JSON.stringify(auth ?? null))
    .digest('hex');
}
