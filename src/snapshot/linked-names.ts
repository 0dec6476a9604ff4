/**
 * Which names of a layer are one file. A whole walk, for the rare image whose
 * upper layers link to a file that has several names already: all of them
 * must stay one file.
 */
import { constants, readdirSync } from 'node:fs';
import { closeFd, openExactDirectory, statAt } from '../sys/index.ts';
import { layerError } from '../tar/index.ts';

/** Names kept of one layer: more linked files than any distribution has. */
const NAMES_LIMIT = 200_000;

/** The names, below the layer's root, of each file that has several; by inode. Throws IMAGE_LAYER when there are too many. */
export function linkedNames(rootFd: number): Map<bigint, string[]> {
  const found = new Map<bigint, string[]>();
  const pending = [''];
  let names = 0;
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const fd = openExactDirectory(rootFd, path);
    try {
      for (const name of readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' })) {
        const child = path === '' ? name : `${path}/${name}`;
        const { type, links, inode } = statAt(fd, name);
        if (type === constants.S_IFDIR) pending.push(child);
        else if (links > 1) {
          const known = found.get(inode);
          if (known === undefined) found.set(inode, [child]);
          else known.push(child);
          names += 1;
        }
      }
    } finally {
      closeFd(fd);
    }
    if (names > NAMES_LIMIT) throw layerError(`it has more than ${NAMES_LIMIT} hard links, and an upper layer has one to them`);
  }
  return found;
}
