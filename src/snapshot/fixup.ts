/**
 * Layers are unpacked without knowing each other. Two things of an image need
 * that knowledge, and become a tiny layer on top of the others:
 *
 * - A directory that a layer only implies (it has `tmp/x` but no `tmp`) is
 *   made 0755 root there, and in the overlay that would hide what a lower
 *   layer says of it: `/tmp` would lose its 1777. The fix-up says it again.
 * - A hard link to a file that only a lower layer has cannot be made in a
 *   directory without it. The fix-up has all names of the file that no upper
 *   layer hides, with a copy of it.
 *
 * Invariant: the digest covers everything in it, by the digests of the layers
 * it was taken from, so equal ones are shared. Runs in a worker.
 */
import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { basename } from 'node:path';
import { RuntimeError } from '../errors/index.ts';
import { closeFd, linkAt, mkdirAt, openRoot, type Xattr, xattrsAt } from '../sys/index.ts';
import { printable } from '../tar/index.ts';
import { copyMetadata, copyNode } from './copy-node.ts';
import { inParent, parentOf } from './in-parent.ts';
import { ContentCount, STAT_BLOCK_BYTES } from './layer-content.ts';
import { type FixupLayer, LayerStack, type Source } from './layer-stack.ts';
import { OPAQUE } from './whiteout.ts';

/** What was made. */
export interface FixupResult {
  digest: string;
  sizeBytes: number;
  diskBytes: number;
  inodes: number;
}

/** One file of the fix-up and all its names, sorted. */
interface LinkedFile {
  source: Source;
  names: string[];
}

/**
 * Fills the empty directory `dir` with what an overlay of `layers` (topmost
 * first) would lack; undefined when it lacks nothing. Throws IMAGE_LAYER for
 * a hard link to a file that is nowhere.
 */
export function makeFixup(layers: readonly FixupLayer[], dir: string): FixupResult | undefined {
  using stack = new LayerStack(layers);
  const files = linkedFiles(stack);
  const lost = lostDirectories(stack);
  if (files.length === 0 && lost.length === 0) return undefined;
  // Parents come along, with what they have anyway: the fix-up's own would hide that too.
  const paths = new Set(lost.flatMap(withParents));
  for (const { names } of files) for (const name of names) for (const parent of withParents(parentOf(name).parent)) paths.add(parent);
  const directories = [...paths].sort().flatMap((path) => stack.directoryAt(path)?.said ?? []);
  const hash = createHash('sha256').update('berth fix-up 2\n');
  for (const directory of directories) hashDirectory(hash, stack, directory);
  for (const file of files) hashFile(hash, stack, file);
  const count = write(stack, { directories, files, dir });
  const { sizeBytes, diskBytes, inodes } = count;
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes, diskBytes, inodes };
}

/** The links to lower layers that an overlay shows, together with the names that their file has already, where those show. */
function linkedFiles(stack: LayerStack): LinkedFile[] {
  const files = new Map<string, { source: Source; names: Set<string> }>();
  stack.layers.forEach(({ lowerLinks }, layer) => {
    for (const { path, target } of lowerLinks) {
      if (stack.shownAt(path, 0)?.layer !== layer) continue; // an upper layer has something else there, or nothing
      const source = stack.sourceOf(target, layer + 1);
      if (source === undefined) throw nowhere(path, target);
      // the inode is the file, whichever of its names the link is to
      const key = `${source.layer} ${source.stat.inode}`;
      const file = files.get(key) ?? { source, names: new Set(stack.namesOf(source)) };
      files.set(key, file);
      file.names.add(path);
    }
  });
  return [...files.values()].map(({ source, names }) => ({ source, names: [...names].sort() }));
}

function nowhere(path: string, target: string): RuntimeError {
  const message = `the layers cannot be put together: ${printable(path)} is a hard link to ${printable(target)}, which neither its layer nor one below it holds as a file`;
  return new RuntimeError('unknown', 'IMAGE_LAYER', message);
}

function lostDirectories(stack: LayerStack): string[] {
  const implied = new Set(stack.layers.flatMap((layer) => [...layer.implied]));
  return [...implied].filter((path) => {
    const { shown, said } = stack.directoryAt(path) ?? {};
    return shown !== undefined && said !== undefined && shown.layer !== said.layer && differ(stack, shown, said);
  });
}

/** The root's time is left out: a container's own root directory has a time of its own. */
function differ(stack: LayerStack, shown: Source, said: Source): boolean {
  const describe = ({ path, stat: { mode, uid, gid, mtime } }: Source): string => JSON.stringify([mode, uid, gid, path === '' ? 0 : mtime]);
  return describe(shown) !== describe(said) || attributes(stack, shown) !== attributes(stack, said);
}

/** Attributes in a form that can be compared and hashed. */
function attributes(stack: LayerStack, source: Source): string {
  const own = stack.within(source, xattrsAt).filter(({ name }) => name !== OPAQUE.name);
  return JSON.stringify(own.map(({ name, value }: Xattr) => [name, Buffer.from(value).toString('base64')]));
}

function hashDirectory(hash: Hash, stack: LayerStack, directory: Source): void {
  const { path, stat } = directory;
  const { mode, uid, gid, mtime } = stat;
  hash.update(`directory ${JSON.stringify([path, mode, uid, gid, mtime.seconds, mtime.nanoseconds])} ${attributes(stack, directory)}\n`);
}

/** The layer's own digest stands for the file's content and metadata. */
function hashFile(hash: Hash, stack: LayerStack, { source, names }: LinkedFile): void {
  hash.update(`file ${JSON.stringify([basename(stack.layers[source.layer]?.dir ?? ''), source.path, names])}\n`);
}

function write(stack: LayerStack, plan: { directories: Source[]; files: LinkedFile[]; dir: string }): ContentCount {
  const count = new ContentCount();
  const rootFd = openRoot(plan.dir);
  try {
    for (const { path } of plan.directories) {
      if (path !== '') inParent(rootFd, path, (dirFd, name) => mkdirAt(dirFd, name, 0o700));
      count.directory();
    }
    for (const file of plan.files) count.file(writeFile(stack, rootFd, file));
    // times last, and of what is inside first
    for (const said of plan.directories.toReversed()) {
      inParent(rootFd, said.path, (toFd, to) => {
        stack.within(said, (dirFd, name) => copyMetadata({ dirFd, name }, said.stat, { dirFd: toFd, name: to }));
      });
    }
  } finally {
    closeFd(rootFd);
  }
  return count;
}

/** Copies a file to its first name and links the others to that; returns its bytes. */
function writeFile(stack: LayerStack, rootFd: number, { source, names }: LinkedFile): number {
  const [first, ...others] = names;
  if (first === undefined) return 0;
  inParent(rootFd, first, (toFd, to) => {
    stack.within(source, (dirFd, name) => copyNode({ dirFd, name }, source.stat, { dirFd: toFd, name: to }));
    for (const other of others) inParent(rootFd, other, (otherFd, name) => linkAt({ dirFd: toFd, name: to }, otherFd, name));
  });
  const { type, sizeBytes, blocks } = source.stat;
  return type === constants.S_IFREG ? Math.min(sizeBytes, blocks * STAT_BLOCK_BYTES) : 0;
}

/** '' (the root), every parent, and the path itself. */
function withParents(path: string): string[] {
  const parts = path === '' ? [] : path.split('/');
  return ['', ...parts.map((_, at) => parts.slice(0, at + 1).join('/'))];
}
