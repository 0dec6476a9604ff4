/**
 * The members of a directory. Symbolic links in it are followed: a layout may
 * be made of links into a store of blobs, and what is read is compared with
 * its digest all the same.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../errors/index.ts';
import { memberError, memberName } from './error.ts';
import type { Members, Region } from './members.ts';

/** Absent, or below something that is no directory. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR']);

/** The directory's files by their relative paths. */
export function directoryMembers(path: string): Members {
  return { path, open: (member) => openIn(path, member) };
}

async function openIn(path: string, member: string): Promise<Region | undefined> {
  const place = { path, member };
  let file: FileHandle;
  try {
    // O_NONBLOCK: a pipe without a writer would never open
    file = await open(join(path, memberName(path, member)), constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (ABSENT.has(errnoOf(error) ?? '')) return undefined;
    throw memberError(place, `cannot be opened (${messageOf(error)})`, error);
  }
  const stat = await file.stat();
  if (stat.isFile()) return { file, start: 0, size: stat.size, close: () => file.close() };
  await file.close();
  throw memberError(place, 'is not a regular file');
}
