/**
 * A regular file being written: its data as it comes, holes where a sparse
 * file has them, then its metadata, all on one descriptor. A file is opened
 * with the mode it ends with, so that most need no more calls than open,
 * write, set the times and close.
 */
import { fchmodSync, fchownSync, fstatSync, ftruncateSync, writeSync } from 'node:fs';
import { closeFd, createFileAt, setFileTimes, setFileXattr } from '../sys/index.ts';
import type { Member } from '../tar/index.ts';
import type { Directory } from './directory-cache.ts';
import { applyXattrs, SPECIAL_BITS } from './metadata.ts';

export class FileWriter implements Disposable {
  readonly member: Member;
  readonly #directory: Directory;
  readonly #fd: number;
  readonly #umask: number;
  /** In a sparse file: which extent the next byte belongs to, and how much of it is written. */
  #extent = 0;
  #filled = 0;

  /** Creates the file; EEXIST when anything has that name. */
  constructor(directory: Directory, name: string, options: { member: Member; umask: number }) {
    this.member = options.member;
    this.#directory = directory;
    this.#umask = options.umask;
    this.#fd = createFileAt(directory.fd, name, this.member.mode & ~SPECIAL_BITS);
  }

  write(chunk: Buffer): void {
    if (this.member.extents === undefined) for (let at = 0; at < chunk.length; ) at += writeSync(this.#fd, chunk, at);
    else this.#writeParts(chunk);
  }

  /** Everything was written: sets size and metadata. The descriptor stays open until dispose. */
  finish(): void {
    const { member } = this;
    if (member.extents !== undefined) ftruncateSync(this.#fd, member.size);
    const given = this.#givenOwner();
    const chowned = given.uid !== member.uid || given.gid !== member.gid;
    if (chowned) fchownSync(this.#fd, member.uid, member.gid);
    if ((member.mode & (SPECIAL_BITS | this.#umask)) !== 0) fchmodSync(this.#fd, member.mode);
    if (member.xattrs.size > 0) applyXattrs(this.#directory.fd, member, (xattr) => setFileXattr(this.#fd, xattr));
    setFileTimes(this.#fd, member.mtime);
  }

  [Symbol.dispose](): void {
    closeFd(this.#fd);
  }

  /** The owner that a file made in this directory has at first: ours, or on some file systems the directory's. Seen from the first one. */
  #givenOwner(): { uid: number; gid: number } {
    this.#directory.givenOwner ??= fstatSync(this.#fd);
    return this.#directory.givenOwner;
  }

  #writeParts(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const extent = this.member.extents?.[this.#extent];
      if (extent === undefined) return; // the walker proved that the parts hold all of the data
      const wanted = Math.min(chunk.length - at, extent.length - this.#filled);
      const written = writeSync(this.#fd, chunk, at, wanted, extent.offset + this.#filled);
      at += written;
      this.#filled += written;
      if (this.#filled < extent.length) continue;
      this.#extent += 1;
      this.#filled = 0;
    }
  }
}
