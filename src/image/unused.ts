/** Frees what no image, no holder and no pull under way needs any more. */
import type { BlobStore } from '../content/index.ts';
import type { Digest } from '../ids/index.ts';
import type { LayerStore } from '../snapshot/index.ts';
import type { Catalog } from './catalog.ts';
import type { LayerSet } from './layer-set.ts';

/** What is looked through. */
export interface StoreParts {
  catalog: Catalog;
  layers: LayerStore;
  layerSet: LayerSet;
  blobs: BlobStore;
}

/** Drops every layer that is not used. */
export function freeLayers({ catalog, layers, layerSet }: StoreParts): void {
  const inUse = catalog.layersInUse().union(layerSet.pinned());
  for (const diffId of layers.all()) {
    if (!inUse.has(diffId)) layers.drop(diffId);
  }
}

/** Removes those of `digests` that are not used. Looking and removing are one step: what comes into use later is put there anew. */
export async function freeBlobs({ catalog, layerSet, blobs }: StoreParts, digests: readonly Digest[]): Promise<void> {
  const inUse = catalog.blobsInUse().union(layerSet.pinned());
  await Promise.all(
    new Set(digests)
      .difference(inUse)
      .values()
      .map((digest) => blobs.remove(digest)),
  );
}
