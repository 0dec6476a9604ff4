/**
 * How much a directory tree holds on disk: blocks, as du(1) counts, a hard
 * link once. It walks, so it runs in a worker only; containers' writable
 * layers are the only trees it is meant for.
 */
import { type BigIntStats, lstatSync, readdirSync } from 'node:fs';
import { errnoOf } from '../errors/index.ts';
import type { Usage } from './tasks.ts';

const STAT_BLOCK_BYTES = 512n;

/** Walks `dir`; what vanishes under way is not counted, and a missing `dir` is zero. */
export function measure(dir: string): Usage {
  const total: Usage = { usedBytes: 0n, inodesUsed: 0n };
  const linked = new Set<bigint>();
  const device = statOf(Buffer.from(dir))?.dev;
  const pending: Buffer[] = [Buffer.from(dir)];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stat = statOf(path);
    if (stat === undefined || stat.dev !== device || linked.has(stat.ino)) continue;
    if (stat.nlink > 1n && !stat.isDirectory()) linked.add(stat.ino);
    total.usedBytes += stat.blocks * STAT_BLOCK_BYTES;
    total.inodesUsed += 1n;
    if (stat.isDirectory()) for (const child of childrenOf(path)) pending.push(child); // spread, a large directory would overflow the stack
  }
  return total;
}

/** A tree can be deeper than a path can be long (PATH_MAX); what is below that is not counted, rather than nothing. */
function statOf(path: Buffer): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if (errnoOf(error) === 'ENAMETOOLONG') return undefined;
    throw error;
  }
}

function childrenOf(path: Buffer): Buffer[] {
  try {
    return readdirSync(path, { encoding: 'buffer' }).map((name) => Buffer.concat([path, Buffer.from('/'), name]));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []; // removed since it was listed
    throw error;
  }
}
