/**
 * One blob to one directory, on the thread that calls: inflated, hashed,
 * walked and written chunk by chunk, in buffers that are used again.
 * Invariant: no more comes of a blob than its limits allow, whatever it says.
 */
import { createHash } from 'node:crypto';
import { type Member, type TarSink, TarWalker } from '../tar/index.ts';
import { UNPACK_LIMITS, UnpackBudget, type UnpackLimits } from './bounds.ts';
import { inflate } from './inflate.ts';
import { LayerWriter } from './layer-writer.ts';
import type { Tail } from './tail.ts';
import type { UnpackResult } from './tasks.ts';

/** Unpacks what `tail` follows into the empty directory `dir`. Throws IMAGE_LAYER, AbandonedError, or what the disk says. */
export function unpackStream(tail: Tail, dir: string, limits: UnpackLimits = UNPACK_LIMITS): UnpackResult {
  using writer = new LayerWriter(dir);
  const budget = new UnpackBudget(limits);
  const sink: TarSink = {
    begin(member: Member) {
      budget.begin(member, tail.totalBytes);
      writer.begin(member);
    },
    data: (chunk) => writer.data(chunk),
    end: () => writer.end(),
  };
  const walker = new TarWalker(sink);
  const hash = createHash('sha256');
  for (const chunk of inflate(budget.counted(tail))) {
    tail.assertWanted(); // what one read inflates to may be large
    budget.produced(chunk.length);
    hash.update(chunk);
    walker.push(chunk);
  }
  walker.finish();
  return { ...writer.finish(), diffId: `sha256:${hash.digest('hex')}` };
}
