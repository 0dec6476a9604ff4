/**
 * One blob to one directory, on the thread that calls: inflated, hashed,
 * walked and written chunk by chunk, in buffers that are used again.
 * Everything that is no file's content goes into the layer's split as well.
 * Invariant: no more comes of a blob than its limits allow, whatever it says.
 */
import { createHash } from 'node:crypto';
import { type Member, plainFile, type TarSink, TarWalker } from '../tar/index.ts';
import { UNPACK_LIMITS, UnpackBudget, type UnpackLimits } from './bounds.ts';
import { inflate } from './inflate.ts';
import { LayerWriter } from './layer-writer.ts';
import { SplitWriter, stagedSplit } from './split.ts';
import { splitTree } from './split-tree.ts';
import type { Tail } from './tail.ts';
import type { PlacedFile, UnpackResult } from './tasks.ts';

/** Unpacks what `tail` follows into the empty directory `dir`. Throws IMAGE_LAYER, AbandonedError, or what the disk says. */
export function unpackStream(tail: Tail, dir: string, limits: UnpackLimits = UNPACK_LIMITS): UnpackResult {
  using writer = new LayerWriter(dir);
  using split = new SplitWriter(stagedSplit(dir));
  const budget = new UnpackBudget(limits);
  const sink: TarSink = {
    begin(member: Member) {
      budget.begin(member, tail.totalBytes);
      writer.begin(member);
    },
    data(chunk) {
      split.content(chunk);
      writer.data(chunk);
    },
    end() {
      split.endContent();
      writer.end();
    },
    raw: (chunk) => split.raw(chunk),
  };
  const walker = new TarWalker(sink);
  const hash = createHash('sha256');
  let tarBytes = 0;
  for (const chunk of inflate(budget.counted(tail))) {
    tail.assertWanted(); // what one read inflates to may be large
    budget.produced(chunk.length);
    hash.update(chunk);
    walker.push(chunk);
    tarBytes += chunk.length;
    tail.unpacked(chunk.length);
  }
  walker.finish();
  split.finish();
  return { ...writer.finish(), diffId: `sha256:${hash.digest('hex')}`, tarBytes };
}

/** Writes what `tail` follows as one file of its own, a layer that no archive had, into the empty directory `dir`. */
export function placeFile(tail: Tail, dir: string, { name, size }: PlacedFile): UnpackResult {
  using writer = new LayerWriter(dir);
  writer.begin(plainFile(Buffer.from(name).toString('latin1'), size));
  for (const chunk of tail) {
    writer.data(chunk);
    tail.unpacked(chunk.length);
  }
  writer.end();
  const content = writer.finish();
  const { digest, tarBytes } = splitTree(dir);
  return { ...content, implied: [], diffId: digest, tarBytes };
}
