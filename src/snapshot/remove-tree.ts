/**
 * Deletes a tree that strangers made. It may be deeper than a path can be
 * long and than there are descriptors or stack for, as a container can make
 * it so: what lies deep is first moved up beside the tree and deleted there.
 * Invariant: what a failure leaves is in the tree or beside it, where the
 * next emptying of the trash finds it. Runs in a worker.
 */
import { randomUUID } from 'node:crypto';
import { type Dirent, lstatSync, readdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Levels deleted in place: their names of 255 bytes fit into a path (PATH_MAX is 4096), and ordinary trees rarely have more. */
const LEVELS = 10;

/** Deletes `path`, whose parent directory must hold nothing but what is to be deleted; absent is success. Symlinks are not followed. */
export function removeTree(path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isDirectory()) {
    unlinkSync(path);
    return;
  }
  const beside = dirname(path);
  const pending = [path];
  const moveUp = (deep: Buffer): void => {
    const moved = join(beside, randomUUID());
    renameSync(deep, moved);
    pending.push(moved);
  };
  for (let dir = pending.pop(); dir !== undefined; dir = pending.pop()) removeLevels(Buffer.from(dir), LEVELS, moveUp);
}

function removeLevels(dir: Buffer, levels: number, moveUp: (deep: Buffer) => void): void {
  for (const entry of readdirSync(dir, { withFileTypes: true, encoding: 'buffer' })) {
    const child = childOf(dir, entry);
    if (!entry.isDirectory()) unlinkSync(child);
    else if (levels > 0) removeLevels(child, levels - 1, moveUp);
    else moveUp(child);
  }
  rmdirSync(dir);
}

/** Names are bytes, and not always UTF-8. */
const childOf = (dir: Buffer, entry: Dirent<Buffer>): Buffer => Buffer.concat([dir, Buffer.from('/'), entry.name]);
