/**
 * Copies one file of a layer, whatever kind it is, with everything that is
 * its own: content with its holes (shared blocks where the file system can),
 * owner, mode, attributes, times.
 */
import { closeSync, constants, copyFileSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { errnoOf } from '../errors/index.ts';
import {
  chmodAt,
  chownAt,
  closeFd,
  createFileAt,
  dataParts,
  type FileStat,
  mknodAt,
  setXattrAt,
  symlinkAt,
  utimesAt,
  xattrsAt,
} from '../sys/index.ts';
import { readLinkAt } from './in-parent.ts';
import { OPAQUE } from './whiteout.ts';

/** A name in an open directory. */
export interface NodePlace {
  dirFd: number;
  name: string;
}

/** Copied at once, in bytes. */
const COPY_BYTES = 1024 * 1024;
/** A file system or kernel that cannot share blocks says one of these (ioctl_ficlone(2)). */
const NO_CLONE = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY', 'EPERM', 'ETXTBSY']);
const { COPYFILE_EXCL, COPYFILE_FICLONE_FORCE, S_IFLNK, S_IFREG } = constants;

/** Copies what `stat` describes, which is no directory, to a name that is free. */
export function copyNode(from: NodePlace, stat: FileStat, to: NodePlace): void {
  if (stat.type === S_IFREG) copyContent(from, to);
  else if (stat.type === S_IFLNK) symlinkAt(readLinkAt(from.dirFd, from.name), to.dirFd, to.name);
  else mknodAt(to.dirFd, to.name, { mode: stat.type | stat.mode, major: stat.deviceMajor, minor: stat.deviceMinor });
  copyMetadata(from, stat, to);
}

/** Owner, mode, attributes and times; what overlayfs keeps in attributes stays behind. */
export function copyMetadata(from: NodePlace, stat: FileStat, to: NodePlace): void {
  chownAt(to.dirFd, to.name, stat);
  if (stat.type !== S_IFLNK) chmodAt(to.dirFd, to.name, stat.mode);
  for (const xattr of xattrsAt(from.dirFd, from.name)) {
    if (xattr.name !== OPAQUE.name) setXattrAt(to.dirFd, to.name, xattr);
  }
  utimesAt(to.dirFd, to.name, stat.mtime);
}

function copyContent(from: NodePlace, to: NodePlace): void {
  try {
    copyFileSync(pathOf(from), pathOf(to), COPYFILE_EXCL | COPYFILE_FICLONE_FORCE);
  } catch (error) {
    if (!NO_CLONE.has(errnoOf(error) ?? '')) throw error;
    copyParts(from, to);
  }
}

function copyParts(from: NodePlace, to: NodePlace): void {
  const source = openSync(pathOf(from), 'r');
  try {
    const copy = createFileAt(to.dirFd, to.name, 0o600);
    try {
      for (const part of dataParts(source)) copyPart(source, copy, part);
      ftruncateSync(copy, fstatSync(source).size);
    } finally {
      closeFd(copy);
    }
  } finally {
    closeSync(source);
  }
}

function copyPart(source: number, copy: number, { offset, length }: { offset: number; length: number }): void {
  const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, length));
  for (let at = offset; at < offset + length; ) {
    const read = readSync(source, buffer, 0, Math.min(buffer.length, offset + length - at), at);
    if (read === 0) return;
    for (let written = 0; written < read; ) written += writeSync(copy, buffer, written, read - written, at + written);
    at += read;
  }
}

const pathOf = ({ dirFd, name }: NodePlace): Buffer => Buffer.from(`/proc/self/fd/${dirFd}/${name}`, 'latin1');
