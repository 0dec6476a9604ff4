/**
 * Opens an archive of images: what it is shows in its content, not in its
 * name. A compressed one is decompressed into a file of its own first, since
 * members are read where they are needed; that file is gone when the archive
 * is closed.
 */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { messageOf } from '../errors/index.ts';
import { compressionOf, MAGIC_BYTES } from './compression.ts';
import { directoryMembers } from './directory-members.ts';
import { readDockerArchive } from './docker-archive.ts';
import { archiveError } from './error.ts';
import { type Members, streamRegion } from './members.ts';
import { readOciLayout } from './oci-layout.ts';
import type { Scratch, SpooledFile } from './scratch.ts';
import { readSkopeoDirectory } from './skopeo-directory.ts';
import { brokenCompression } from './spool.ts';
import { indexTar } from './tar-members.ts';
import type { Archive } from './types.ts';

/** What to open. */
export interface OpenArchive {
  /** A directory, or a tar, compressed or not. */
  path: string;
  /** Where the tar of a compressed one goes. */
  scratch: Scratch;
  signal: AbortSignal;
}

/** Opens and lists it. Throws IMAGE_ARCHIVE, DISK_FULL. */
export async function openArchive(options: OpenArchive): Promise<Archive> {
  await using stack = new AsyncDisposableStack();
  const members = await openMembers(options, stack);
  const images = (await readOciLayout(members)) ?? (await readDockerArchive(members)) ?? (await readSkopeoDirectory(members));
  if (images === undefined) {
    const why = 'it has neither the index.json of an OCI image layout nor the manifest.json of `docker save`';
    throw archiveError(options.path, why);
  }
  const owned = stack.move();
  return { path: options.path, images, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function openMembers(options: OpenArchive, stack: AsyncDisposableStack): Promise<Members> {
  const { path, signal } = options;
  const what = await look(path);
  if (what.isDirectory()) return directoryMembers(path);
  if (!what.isFile()) throw archiveError(path, 'it is neither a file nor a directory');
  const file = await openFile(path, path);
  stack.defer(() => file.close());
  const head = Buffer.alloc(MAGIC_BYTES);
  await file.read(head, 0, head.length, 0).catch((error: unknown) => {
    throw archiveError(path, `it cannot be read (${messageOf(error)})`, { cause: error });
  });
  const compression = compressionOf(head);
  if (compression === 'none') return indexTar(file, path, signal);
  if (compression === 'xz' || compression === 'bzip2') {
    throw archiveError(path, `it is compressed with ${compression}, which is not read`, { advice: 'decompress it first' });
  }
  const tar = stack.use(await decompress(file, options, compression));
  const plain = await openFile(tar.path, path);
  stack.defer(() => plain.close());
  return indexTar(plain, path, signal);
}

async function look(path: string): Promise<Stats> {
  return stat(path).catch((error: unknown) => {
    throw archiveError(path, `it cannot be opened (${messageOf(error)})`, { cause: error });
  });
}

async function openFile(file: string, path: string): Promise<FileHandle> {
  try {
    return await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw archiveError(path, `it cannot be opened (${messageOf(error)})`, { cause: error });
  }
}

async function decompress(file: FileHandle, { path, scratch, signal }: OpenArchive, compression: 'gzip' | 'zstd'): Promise<SpooledFile> {
  try {
    const region = { file, start: 0, size: (await file.stat()).size };
    const source = streamRegion(region, { signal, fail: (why, cause) => archiveError(path, `it ${why}`, { cause }) });
    return await scratch.spool({ source, through: compression === 'gzip' ? 'gunzip' : 'unzstd', signal });
  } catch (error) {
    const broken = brokenCompression(error);
    throw broken === undefined
      ? error
      : archiveError(path, `its ${compression} compression is broken or cut off (${broken})`, { cause: error });
  }
}
