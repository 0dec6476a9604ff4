/**
 * How much a layer may become. A blob is bounded by its download, what comes
 * out of it is not: a few KiB of zstd are gigabytes of zeros. Counted while
 * it streams, so that a bomb ends long before the disk does; a file that
 * announces more than is left is refused before its first byte.
 */
import { layerError, type Member, printable } from '../tar/index.ts';

/** What may come of one blob. */
export interface UnpackLimits {
  /** Bytes of the tar. */
  layerBytes: number;
  /** Bytes of the tar for each byte of the blob, once `freeBytes` are used up. */
  ratio: number;
  /** Bytes that any blob may unpack to. */
  freeBytes: number;
  members: number;
}

const GIB = 2 ** 30;

/**
 * Real layers shrink 2 to 20 times; what shrinks more is mostly zeros (disk
 * images, preallocated databases, test data made with dd), which is rarely
 * more than a few GiB. The largest images known have layers of some 100 GiB
 * and some million files: ext4 as it is made by default has an inode for
 * each 16 KiB.
 */
export const UNPACK_LIMITS: UnpackLimits = { layerBytes: 512 * GIB, ratio: 200, freeBytes: 4 * GIB, members: 8_000_000 };

/** Counts one layer against its limits; every method throws IMAGE_LAYER when one is passed. */
export class UnpackBudget {
  readonly #limits: UnpackLimits;
  #blobBytes = 0;
  #tarBytes = 0;
  /** Without the chunk at hand. */
  #tarBytesBefore = 0;
  #members = 0;

  constructor(limits: UnpackLimits) {
    this.#limits = limits;
  }

  /** Passes a blob's chunks on and counts them. */
  *counted(source: Iterable<Buffer>): Generator<Buffer> {
    for (const chunk of source) {
      this.#blobBytes += chunk.length;
      yield chunk;
    }
  }

  /** Some of the tar came out. */
  produced(bytes: number): void {
    this.#tarBytesBefore = this.#tarBytes;
    this.#tarBytes += bytes;
    const why = this.#excess(this.#tarBytes, this.#blobBytes);
    if (why !== undefined) throw layerError(`it ${why}`);
  }

  /** A member begins in what came out last; `blobBytes` is the whole blob's size where that is known. */
  begin(member: Member, blobBytes: number | undefined): void {
    this.#members += 1;
    if (this.#members > this.#limits.members) throw layerError(`it has more than ${this.#limits.members} members`);
    const why = this.#excess(this.#tarBytesBefore + member.storedBytes, blobBytes ?? Number.POSITIVE_INFINITY);
    if (why !== undefined) throw layerError(`with ${printable(member.path)}, which claims ${member.storedBytes} bytes, it ${why}`);
  }

  #excess(tarBytes: number, blobBytes: number): string | undefined {
    const { layerBytes, ratio, freeBytes } = this.#limits;
    if (tarBytes > layerBytes) return `unpacks to more than ${layerBytes} bytes`;
    return tarBytes > freeBytes + ratio * blobBytes
      ? `unpacks to more than ${freeBytes} bytes and ${ratio} times its compressed size, as a bomb does`
      : undefined;
  }
}
