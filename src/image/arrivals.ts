/**
 * Bringing images to the node, from wherever they come: documents, layers,
 * commit. Nothing is visible before the commit; what a failed arrival brought
 * and nobody else needs is freed.
 */
import { abortError } from '../async/index.ts';
import type { PartStore } from '../content/index.ts';
import { asRuntimeError, diskError, isRuntimeError } from '../errors/index.ts';
import type { Logger } from '../log/index.ts';
import type { Trash } from '../snapshot/index.ts';
import { monotonicNs, nowNs } from '../sys/index.ts';
import type { Arrival } from './arrival.ts';
import { blobsOf, namesOf } from './catalog.ts';
import type { LivePull, ProgressBoard } from './progress.ts';
import { type ResolvedImage, resolveImage } from './pull.ts';
import type { LoadedImage, PullObserver } from './types.ts';
import { freeBlobs, freeLayers, type StoreParts } from './unused.ts';

/** What arrivals work with. */
export interface ArrivalParts extends StoreParts {
  /** Directory of the store, for errors. */
  root: string;
  parts: PartStore;
  board: ProgressBoard;
  trash: Trash;
  logger: Logger;
  observer: PullObserver;
}

/** An image that arrived, and what it took. */
interface Arrived extends LoadedImage {
  bytes: number;
  layersPulled: number;
  layersShared: number;
}

/** Brings an image, with its progress, log line and figures. */
export async function bringImage(parts: ArrivalParts, arrival: Arrival, signal: AbortSignal): Promise<LoadedImage> {
  const { logger, observer, board } = parts;
  const { label, registry } = arrival;
  const startedNs = monotonicNs();
  const progress = board.begin(label, nowNs());
  const seconds = (): number => Number(monotonicNs() - startedNs) / 1e9;
  try {
    const { id, names, ...figures } = await bring(parts, arrival, { signal, progress });
    Object.assign(progress, { state: 'done', imageId: id });
    observer.pulled({ registry, seconds: seconds(), ...figures });
    logger.info({ reference: label, imageId: id, seconds: seconds(), ...figures }, 'image pulled');
    return { id, names };
  } catch (thrown) {
    const error = signal.aborted ? asRuntimeError(abortError(signal)) : asRuntimeError(diskError(thrown, `writing ${parts.root}`));
    Object.assign(progress, { state: 'failed', error: error.message });
    observer.failed({ registry, reason: error.reason });
    logger.warn({ reference: label, seconds: seconds(), reason: error.reason, message: error.message }, 'pull failed');
    // what it left, and all else that may go
    if (isRuntimeError(error, 'DISK_FULL')) await Promise.all([parts.parts.clear(), parts.trash.empty()]);
    throw error;
  } finally {
    board.end(progress, nowNs());
  }
}

async function bring(
  parts: ArrivalParts,
  arrival: Arrival,
  { signal, progress }: { signal: AbortSignal; progress: LivePull },
): Promise<Arrived> {
  const { what, origin, registry } = arrival;
  const source = await arrival.open();
  const image = await resolveImage(source, what, signal);
  const layerBlobs = image.layers.map(({ descriptor }) => descriptor.digest);
  using _quiet = parts.trash.holdOff();
  await using cleanUp = new AsyncDisposableStack();
  // after the pins are gone: what a failure left unused
  cleanUp.defer(() => freeBlobs(parts, layerBlobs));
  cleanUp.defer(() => freeLayers(parts));
  cleanUp.use(parts.layerSet.pin([...image.layers.map(({ diffId }) => diffId), ...layerBlobs]));
  const { pulled, shared, bytes } = await parts.layerSet.fetch({
    source,
    host: registry,
    origin,
    layers: image.layers,
    what,
    signal,
    show(layers) {
      Object.assign(progress, { state: 'pulling', layers });
      parts.board.changed();
    },
  });
  const names = await commit(parts, arrival, { image, signal });
  return { id: image.id, names, bytes, layersPulled: pulled, layersShared: shared };
}

/** Enters the image and answers the names it got. */
async function commit(
  parts: ArrivalParts,
  { references, authentic, keep }: Arrival,
  { image, signal }: { image: ResolvedImage; signal: AbortSignal },
): Promise<string[]> {
  const { catalog, layers: store, layerSet, blobs } = parts;
  const diffIds = image.layers.map((layer) => layer.diffId);
  using pins = new DisposableStack();
  const fixup = await store.fixup(diffIds, (diffId) => pins.use(layerSet.pin([diffId])));
  if (signal.aborted) throw abortError(signal);
  const layers = fixup === undefined ? diffIds : [...diffIds, fixup];
  const layerBytes = [...new Set(layers)].reduce((total, diffId) => total + (store.get(diffId)?.sizeBytes ?? 0n), 0n);
  const before = catalog.find(image.id);
  // A digest in a name must be the image's: an archive may say anything.
  const honest = references.filter(({ digest }) => digest === undefined || (authentic && digest === image.targetDigest));
  const names = namesOf(honest, authentic ? image.targetDigest : undefined);
  // A manifest that a registry gave is worth more than one made up for an archive.
  const isBetter = authentic || before === undefined;
  const record = {
    id: image.id,
    sizeBytes: layerBytes + BigInt(image.configBytes.length || image.manifestBytes.length),
    config: image.config,
    ...(image.artifactType === undefined ? {} : { artifactType: image.artifactType }),
    layers,
    manifestDigest: isBetter ? image.manifestDigest : before.manifestDigest,
    layerBlobs: isBetter ? image.layers.map(({ descriptor }) => descriptor.digest) : before.layerBlobs,
    pulledAtNs: nowNs(),
    ...(keep ? { keep } : {}),
  };
  const documents = [...blobsOf(record), image.manifestDigest];
  const pin = layerSet.pin(documents); // a removal of the same image may look for what is unused while they are written
  try {
    if (image.artifactType === undefined) await blobs.put(image.id, image.configBytes);
    await blobs.put(image.manifestDigest, image.manifestBytes);
    catalog.commit({ ...record, names });
    return [...names.tags, ...names.digests];
  } finally {
    pin[Symbol.dispose]();
    // what a failure left behind, or the documents that others took the place of
    await freeBlobs(parts, [...documents, ...(before === undefined ? [] : blobsOf(before))]);
  }
}
