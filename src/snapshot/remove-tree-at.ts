/**
 * Removes what a later member of a layer replaces: a name, or a directory
 * with everything below it. Works with one open directory at a time and a
 * list instead of recursion, since a hostile layer nests as deep as it likes.
 * Invariant: nobody else changes the tree, so `..` of a directory leads back
 * to where it was entered.
 */
import { constants, readdirSync } from 'node:fs';
import { closeFd, type FileStat, openDirectoryAt, statAt, unlinkAt } from '../sys/index.ts';

/** A directory being emptied: its name in its parent, and its subdirectories still to do. */
interface Level {
  name: string;
  subdirectories: string[];
}

/** Removes `name` of `dirFd`; symlinks are removed, never followed. `removing` is told of each name just before it goes. */
export function removeTreeAt(dirFd: number, name: string, removing: (stat: FileStat) => void): void {
  const stat = statAt(dirFd, name);
  if (stat.type !== constants.S_IFDIR) {
    removing(stat);
    unlinkAt(dirFd, name);
    return;
  }
  let fd = openDirectoryAt(dirFd, name);
  try {
    const levels: Level[] = [{ name, subdirectories: empty(fd, removing) }];
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const child = level.subdirectories.pop();
      if (child !== undefined) {
        fd = moved(fd, child);
        levels.push({ name: child, subdirectories: empty(fd, removing) });
        continue;
      }
      levels.pop();
      if (levels.length === 0) break;
      fd = moved(fd, '..');
      removing(statAt(fd, level.name));
      unlinkAt(fd, level.name, true);
    }
  } finally {
    closeFd(fd);
  }
  removing(stat);
  unlinkAt(dirFd, name, true);
}

/** Opens `name` of the directory `fd` in its place. */
function moved(fd: number, name: string): number {
  const next = openDirectoryAt(fd, name);
  closeFd(fd);
  return next;
}

/** Removes everything but the subdirectories and returns those. */
function empty(fd: number, removing: (stat: FileStat) => void): string[] {
  const subdirectories: string[] = [];
  for (const name of readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' })) {
    const stat = statAt(fd, name);
    if (stat.type === constants.S_IFDIR) subdirectories.push(name);
    else {
      removing(stat);
      unlinkAt(fd, name);
    }
  }
  return subdirectories;
}
