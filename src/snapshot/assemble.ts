/**
 * A layer's tar into a file, byte for byte what it was unpacked from: for
 * images that are sent elsewhere without their compressed blobs. Runs in a
 * worker.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { layerError, type Member, printable } from '../tar/index.ts';
import { LayerPlan } from './layer-plan.ts';
import { LayerTree } from './layer-tree.ts';
import { reassemble } from './reassemble.ts';

/** Writes the tar of the layer in `dir`, whose split is `split`, to the new file `to`. Throws IMAGE_LAYER when it cannot be had any more. */
export function assembleTar({ dir, split, to }: { dir: string; split: string; to: string }): void {
  using tree = new LayerTree(dir);
  const [lost] = LayerPlan.of(tree, split).lost;
  if (lost !== undefined) throw layerError(`its archive holds ${printable(lost)} more than once, so it cannot be put together again`);
  const onDamage = (member: Member, why: string): never => {
    throw layerError(`${printable(member.path)}: ${why}`);
  };
  const fd = openSync(to, 'wx', 0o600);
  try {
    for (const piece of reassemble({ tree, split, onDamage })) {
      for (let at = 0; at < piece.length; ) at += writeSync(fd, piece, at);
    }
  } finally {
    closeSync(fd);
  }
}
