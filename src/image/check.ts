/**
 * Verifies the layers of images against what was unpacked, and has bad ones
 * brought anew: a layer known to be damaged counts as absent, so that pulling
 * an image that has it is its repair, and replaces that layer alone.
 */
import { abortError } from '../async/index.ts';
import { asRuntimeError, RuntimeError } from '../errors/index.ts';
import type { DiffId } from '../ids/index.ts';
import type { LayerStore } from '../snapshot/index.ts';
import type { Catalog } from './catalog.ts';
import type { CheckRequest, CheckStep, ImageRecord, LayerCheck } from './types.ts';

/** What a check works with. */
export interface CheckParts {
  catalog: Pick<Catalog, 'list' | 'find'>;
  layers: Pick<LayerStore, 'get' | 'isWhole' | 'verify' | 'measure' | 'usage'>;
  /** Brings the image again from where it came from; damaged layers count as absent. */
  pullAgain: (record: Readonly<ImageRecord>, signal: AbortSignal) => Promise<void>;
  /** Keeps layers from being freed until disposed of. */
  pin: (diffIds: readonly DiffId[]) => Disposable;
}

/** A step for each layer when it was looked at, then the summary. Throws IMAGE_NOT_FOUND for a name that is not here, and the signal's error. */
export async function* checkImages(parts: CheckParts, request: CheckRequest, signal: AbortSignal): AsyncGenerator<CheckStep> {
  const images = request.images.length === 0 ? parts.catalog.list() : request.images.map((name) => find(parts, name));
  const byLayer = new Map<DiffId, Readonly<ImageRecord>[]>();
  for (const image of images) for (const diffId of new Set(image.layers)) byLayer.set(diffId, [...(byLayer.get(diffId) ?? []), image]);
  const counts = { layers: 0, damaged: 0, repaired: 0 };
  using _pinned = parts.pin([...byLayer.keys()]);
  for (const [diffId, having] of byLayer) {
    if (signal.aborted) throw abortError(signal);
    const layer = await checkLayer(parts, { diffId, having, repair: request.repair }, signal);
    counts.layers += 1;
    if (layer.outcome !== 'whole') counts.damaged += 1;
    if (layer.outcome === 'repaired') counts.repaired += 1;
    yield { layer };
  }
  const [walked, counted] = [await parts.layers.measure(), parts.layers.usage()];
  yield { summary: { ...counts, walked, counted } };
}

async function checkLayer(
  parts: CheckParts,
  { diffId, having, repair }: { diffId: DiffId; having: readonly Readonly<ImageRecord>[]; repair: boolean },
  signal: AbortSignal,
): Promise<LayerCheck> {
  const problems = await parts.layers.verify(diffId, signal);
  const found: LayerCheck = { layer: diffId, images: having.map(nameOf), outcome: problems.length === 0 ? 'whole' : 'damaged', problems };
  if (problems.length === 0 || !repair) return found;
  const failures: string[] = [];
  for (const image of having) {
    try {
      await parts.pullAgain(image, signal);
      const left = await parts.layers.verify(diffId, signal);
      if (left.length === 0) return { ...found, outcome: 'repaired' };
      failures.push(`${nameOf(image)} was pulled again and its layer is still not whole (${left[0]}); look at the disk (dmesg)`);
    } catch (error) {
      if (signal.aborted) throw abortError(signal);
      failures.push(asRuntimeError(error).message);
    }
  }
  return { ...found, error: failures.join('; ') };
}

const nameOf = (image: Readonly<ImageRecord>): string => image.repoTags[0] ?? image.repoDigests[0] ?? image.id;

function find({ catalog }: CheckParts, name: string): Readonly<ImageRecord> {
  const record = catalog.find(name);
  if (record !== undefined) return record;
  throw new RuntimeError(
    'not-found',
    'IMAGE_NOT_FOUND',
    `the image ${JSON.stringify(name)} is not on this node; \`berth images\` lists those that are`,
  );
}
