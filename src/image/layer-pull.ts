/**
 * One layer from its source to its directory: downloaded and unpacked at the
 * same time, published when size, digest and diffID are all right. What was
 * downloaded stays for the next pull when this one was cut off, and is
 * deleted when the layer is there or its bytes were wrong. Invariant:
 * whatever happens, the staging directory is gone afterwards, and the store
 * has the whole layer or nothing of it.
 */
import { abortError, type Limiter } from '../async/index.ts';
import { type DownloadObserver, download, type Part, type PartStore, type TransferPolicy } from '../content/index.ts';
import { isRuntimeError, type Reason, RuntimeError } from '../errors/index.ts';
import type { DiffId } from '../ids/index.ts';
import type { Descriptor } from '../registry/index.ts';
import { type LayerStore, type Staging, TailProgress, type UnpackResult, unpackLayer } from '../snapshot/index.ts';
import type { LiveLayer } from './progress.ts';
import type { BlobContent, ImageSource } from './source.ts';
import type { TransferEvent } from './types.ts';

/** The parts it works with, the same for every layer. */
export interface LayerPullParts {
  layers: LayerStore;
  parts: PartStore;
  /** Takes the compressed blob of a published layer, a file that may be moved; undefined where they are not kept. */
  keepBlob: ((layer: Descriptor, path: string) => Promise<void>) | undefined;
  /** Bounds the downloads of all pulls together. */
  downloads: Limiter;
  policy: TransferPolicy;
  observe: (event: TransferEvent) => void;
  changed: () => void;
}

/** One layer to get. */
export interface LayerPull {
  source: ImageSource;
  /** Registry host, for the figures. */
  host: string;
  layer: Descriptor;
  diffId: DiffId;
  content: BlobContent;
  /** Names the image in errors. */
  what: string;
  progress: LiveLayer;
  signal: AbortSignal;
}

/** Failures after which the bytes that came are still worth having. */
const RESUMABLE: ReadonlySet<Reason> = new Set([
  'CANCELLED',
  'DEADLINE',
  'STOPPING',
  'REGISTRY_UNAVAILABLE',
  'PULL_STALLED',
  'IMAGE_UNAUTHORIZED',
  'IMAGE_NOT_IN_REGISTRY',
]);

/** One go at a layer. */
interface Attempt {
  part: Part;
  /** Some of the part came from another connection than the rest. */
  pieced: boolean;
  /** The whole of it was not what was asked for. */
  wrong: boolean;
}

/** Gets a layer and publishes it. A blob put together of pieces that turns out wrong is downloaded once more, whole. */
export async function pullLayer(parts: LayerPullParts, pull: LayerPull): Promise<void> {
  await using part = parts.parts.take(pull.layer.digest);
  for (let first = true; ; first = false) {
    const attempt: Attempt = { part, pieced: false, wrong: false };
    try {
      return await pullOnce(parts, pull, attempt);
    } catch (error) {
      if (!first || !attempt.pieced || !attempt.wrong || pull.signal.aborted) {
        if (isRuntimeError(error) && RESUMABLE.has(error.reason)) part.keep();
        throw error;
      }
    }
    await part.restart();
    pull.progress.reset();
    parts.observe({ kind: 'retried', registry: pull.host });
  }
}

async function pullOnce(parts: LayerPullParts, pull: LayerPull, attempt: Attempt): Promise<void> {
  using staging = parts.layers.stage();
  const tail = new TailProgress(pull.layer.size);
  pull.progress.unpackedBytes = () => tail.unpackedBytes;
  const controller = new AbortController();
  const signal = AbortSignal.any([pull.signal, controller.signal]);
  signal.addEventListener('abort', () => tail.abandon(), { once: true });
  const begun = Promise.withResolvers<void>();
  let failure: { error: unknown } | undefined; // the first one; what follows is its echo
  const fail = (error: unknown): void => {
    failure ??= { error };
    controller.abort(error);
    begun.resolve();
  };
  try {
    const downloading = parts.downloads.run(() => {
      begun.resolve();
      return downloadLayer(parts, pull, { attempt, tail, signal });
    }, signal);
    const unpacking = begun.promise.then(() =>
      timedUnpack(parts, { part: attempt.part.path, progress: tail, dir: staging.dir, signal, ...placed(pull) }),
    );
    downloading.catch(fail);
    unpacking.catch((error: unknown) => {
      // A broken layer may have been broken on its way: the download's digest will tell, so that goes on.
      if (!isRuntimeError(error, 'IMAGE_LAYER')) fail(error);
    });
    const [, unpacked] = await Promise.allSettled([downloading, unpacking]);
    if (pull.signal.aborted) throw abortError(pull.signal);
    if (failure !== undefined) throw failure.error;
    if (unpacked.status === 'rejected') throw ofImage(unpacked.reason, pull);
    publish(parts, pull, { staging, content: unpacked.value });
    await parts.keepBlob?.(pull.layer, attempt.part.path);
  } finally {
    tail.abandon();
    const unpackedBytes = tail.unpackedBytes;
    pull.progress.unpackedBytes = () => unpackedBytes;
  }
}

async function timedUnpack(parts: LayerPullParts, options: Parameters<typeof unpackLayer>[0]): Promise<UnpackResult> {
  const startedMs = performance.now();
  const result = await unpackLayer(options);
  parts.observe({ kind: 'unpacked', seconds: (performance.now() - startedMs) / 1000 });
  return result;
}

async function downloadLayer(
  parts: LayerPullParts,
  pull: LayerPull,
  transfer: { attempt: Attempt; tail: TailProgress; signal: AbortSignal },
): Promise<void> {
  const { attempt, tail } = transfer;
  const { progress, layer, host } = pull;
  const startedMs = performance.now();
  let mirror = false;
  progress.state = 'downloading';
  parts.changed();
  try {
    await download({
      async open(offset, signal) {
        const stream = await pull.source.blob(layer, offset, signal);
        progress.source = stream.sender?.host ?? '';
        mirror = stream.sender?.mirror === true;
        return stream;
      },
      path: attempt.part.path,
      digest: layer.digest,
      size: layer.size,
      what: `layer ${layer.digest} of ${pull.what}`,
      policy: parts.policy,
      signal: transfer.signal,
      observer: transferObserver(parts, pull, { attempt, tail, isMirror: () => mirror }),
    });
    tail.complete();
    parts.observe({ kind: 'downloaded', registry: host, seconds: (performance.now() - startedMs) / 1000 });
    progress.state = 'unpacking';
    parts.changed();
  } catch (error) {
    attempt.wrong = isRuntimeError(error, 'IMAGE_DIGEST');
    tail.abandon();
    throw pull.source.explain?.(layer, error) ?? error;
  }
}

function transferObserver(
  parts: LayerPullParts,
  { progress, host: registry }: LayerPull,
  { attempt, tail, isMirror }: { attempt: Attempt; tail: TailProgress; isMirror: () => boolean },
): DownloadObserver {
  return {
    written(bytes) {
      tail.advance(bytes);
      progress.downloadedBytes = bytes;
      parts.changed();
    },
    found(bytes) {
      attempt.pieced = true;
      progress.resumedBytes = bytes;
      if (bytes === progress.totalBytes) parts.observe({ kind: 'resumed', registry });
    },
    opened({ behind, offset }) {
      if (behind > 0) attempt.pieced = true;
      if (offset > 0) parts.observe({ kind: 'resumed', registry });
    },
    received(bytes) {
      progress.received(bytes);
      parts.observe({ kind: 'received', registry, mirror: isMirror(), bytes });
    },
    retried(reason) {
      if (reason === 'PULL_STALLED') parts.observe({ kind: 'stalled', registry });
      parts.observe({ kind: 'retried', registry });
    },
  };
}

function publish(parts: LayerPullParts, pull: LayerPull, unpacked: { staging: Staging; content: UnpackResult }): void {
  const { diffId } = unpacked.content;
  const isLayer = pull.content.kind === 'layer';
  if (isLayer && diffId !== pull.diffId) {
    const message = `layer ${pull.layer.digest} of ${pull.what} is not what the image’s config says: its content has the digest ${diffId}, not ${pull.diffId}; rebuild the image`;
    throw new RuntimeError('unknown', 'IMAGE_DIGEST', message);
  }
  parts.layers.publish(pull.diffId, unpacked.staging, { ...unpacked.content, ...(isLayer ? {} : { tarDigest: diffId as DiffId }) }); // the worker's own digest
  pull.progress.state = 'done';
  parts.changed();
}

/** A blob that is a file goes where its name says. */
function placed({ content, layer }: LayerPull): Pick<Parameters<typeof unpackLayer>[0], 'file'> {
  return content.kind === 'file' ? { file: { name: content.name, size: layer.size } } : {};
}

/** A layer's error, saying which layer of which image. */
function ofImage(error: unknown, pull: LayerPull): unknown {
  if (!isRuntimeError(error, 'IMAGE_LAYER')) return error;
  const message = `layer ${pull.layer.digest} of ${pull.what}: ${error.message}; rebuild the image`;
  return new RuntimeError(error.kind, error.reason, message, { cause: error });
}
