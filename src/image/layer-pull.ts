/**
 * One layer from the registry to its directory: downloaded and unpacked at
 * the same time, published when size, digest and diffID are all right.
 * Invariant: whatever happens, the download's file and the staging directory
 * are gone afterwards, and the store has the whole layer or nothing of it.
 */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { abortError, type Limiter } from '../async/index.ts';
import { type BlobStore, download, type TransferPolicy } from '../content/index.ts';
import { isRuntimeError, RuntimeError } from '../errors/index.ts';
import type { DiffId } from '../ids/index.ts';
import type { Descriptor } from '../registry/index.ts';
import { type LayerStore, type Staging, TailProgress, type UnpackResult, unpackLayer } from '../snapshot/index.ts';
import type { ImageSource } from './source.ts';
import type { LayerProgress } from './types.ts';

/** The parts it works with, the same for every layer. */
export interface LayerPullParts {
  layers: LayerStore;
  blobs: BlobStore;
  /** Bounds the downloads of all pulls together. */
  downloads: Limiter;
  policy: TransferPolicy;
  changed: () => void;
}

/** One layer to get. */
export interface LayerPull {
  source: ImageSource;
  layer: Descriptor;
  diffId: DiffId;
  /** Names the image in errors. */
  what: string;
  progress: LayerProgress;
  signal: AbortSignal;
}

/** Gets a layer and publishes it. */
export async function pullLayer(parts: LayerPullParts, pull: LayerPull): Promise<void> {
  using staging = parts.layers.stage();
  const part = parts.blobs.partPath(randomUUID());
  const tail = new TailProgress();
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
      return downloadLayer(parts, pull, { part, tail, signal });
    }, signal);
    const unpacking = begun.promise.then(() => unpackLayer({ part, progress: tail, dir: staging.dir, signal }));
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
  } finally {
    tail.abandon();
    await rm(part, { force: true });
  }
}

async function downloadLayer(
  parts: LayerPullParts,
  pull: LayerPull,
  transfer: { part: string; tail: TailProgress; signal: AbortSignal },
): Promise<void> {
  pull.progress.state = 'downloading';
  parts.changed();
  try {
    await download({
      open: (offset, signal) => pull.source.blob(pull.layer, offset, signal),
      path: transfer.part,
      digest: pull.layer.digest,
      size: pull.layer.size,
      what: `layer ${pull.layer.digest} of ${pull.what}`,
      policy: parts.policy,
      signal: transfer.signal,
      onProgress(bytes) {
        transfer.tail.advance(bytes);
        pull.progress.downloadedBytes = bytes;
        parts.changed();
      },
    });
    transfer.tail.complete();
    pull.progress.state = 'unpacking';
    parts.changed();
  } catch (error) {
    transfer.tail.abandon();
    throw pull.source.explain?.(pull.layer, error) ?? error;
  }
}

function publish(parts: LayerPullParts, pull: LayerPull, unpacked: { staging: Staging; content: UnpackResult }): void {
  const { diffId } = unpacked.content;
  if (diffId !== pull.diffId) {
    const message = `layer ${pull.layer.digest} of ${pull.what} is not what the image’s config says: its content has the digest ${diffId}, not ${pull.diffId}; rebuild the image`;
    throw new RuntimeError('unknown', 'IMAGE_DIGEST', message);
  }
  parts.layers.publish(pull.diffId, unpacked.staging, unpacked.content);
  pull.progress.state = 'done';
  parts.changed();
}

/** A layer's error, saying which layer of which image. */
function ofImage(error: unknown, pull: LayerPull): unknown {
  if (!isRuntimeError(error, 'IMAGE_LAYER')) return error;
  const message = `layer ${pull.layer.digest} of ${pull.what}: ${error.message}; rebuild the image`;
  return new RuntimeError(error.kind, error.reason, message, { cause: error });
}
