/** What a layer turned out to hold, counted while it is unpacked. */
import { constants } from 'node:fs';
import type { FileStat } from '../sys/index.ts';

/** A hard link to a file that only a lower layer has: made by the image's fix-up layer (fixup.ts). */
export interface LowerLink {
  /** The name to make. */
  path: string;
  /** The name it is a link to. */
  target: string;
}

/** What was unpacked. Paths are relative to the layer's root and have one character a byte. */
export interface LayerContent {
  /** Bytes of its files; of a sparse file what is no hole. */
  sizeBytes: number;
  /** Bytes on disk: files rounded up to blocks, directories as the file system has them. */
  diskBytes: number;
  inodes: number;
  /** Directories the archive implied but did not hold; '' is the root. */
  implied: string[];
  lowerLinks: LowerLink[];
  /** It hides every layer below it. */
  opaqueRoot: boolean;
}

/** Allocation unit assumed for diskBytes: that of ext4 and xfs as Debian makes them. */
const DISK_BLOCK_BYTES = 4096;
/** Unit of FileStat.blocks. */
export const STAT_BLOCK_BYTES = 512;

/** Counts what is made, and takes back what is removed again. */
export class ContentCount {
  sizeBytes = 0;
  diskBytes = 0;
  inodes = 0;

  /** A file with `bytes` of data. */
  file(bytes: number): void {
    this.sizeBytes += bytes;
    this.#inode(bytes, 1);
  }

  directory(): void {
    this.#inode(DISK_BLOCK_BYTES, 1);
  }

  /** A directory at the end, counted as one block before: many names need more. */
  grown({ blocks }: FileStat): void {
    this.diskBytes += Math.max(0, blocks * STAT_BLOCK_BYTES - DISK_BLOCK_BYTES);
  }

  /** A symlink, device, FIFO or whiteout: it lives in its inode. */
  node(): void {
    this.#inode(0, 1);
  }

  /** `stat` is of a name just before its removal: only the last one takes the file with it. */
  removed({ type, links, sizeBytes, blocks }: FileStat): void {
    if (type === constants.S_IFDIR) this.#inode(DISK_BLOCK_BYTES, -1);
    else if (links === 1 && type === constants.S_IFREG) {
      const bytes = Math.min(sizeBytes, blocks * STAT_BLOCK_BYTES);
      this.sizeBytes -= bytes;
      this.#inode(bytes, -1);
    } else if (links === 1) this.#inode(0, -1);
  }

  #inode(bytes: number, sign: 1 | -1): void {
    this.inodes += sign;
    this.diskBytes += sign * Math.ceil(bytes / DISK_BLOCK_BYTES) * DISK_BLOCK_BYTES;
  }
}
