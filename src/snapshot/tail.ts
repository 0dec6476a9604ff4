/**
 * Reads a file that is still being written. The writer (main thread) says in
 * shared memory how far it is and whether it is done or has failed; the
 * reader (worker) follows and never reads beyond. The reader waits by
 * sleeping on that memory: its thread has nothing else to do. Invariant: the
 * bytes below `available` never change.
 */
import { closeSync, openSync, readSync } from 'node:fs';

/** Shared between both sides: the writer's count and state, how often they changed, which is what a reader sleeps on, what the reader made of it, and the size to come. */
export type TailBuffer = SharedArrayBuffer;

const AVAILABLE = 0;
const STATE = 1;
const CHANGES = 2;
const UNPACKED = 3;
const ANNOUNCED = 4;
const WORDS = 5;
/** Of ANNOUNCED: nobody said. */
const UNKNOWN = -1n;
const COMPLETE = 1n;
const ABANDONED = 2n;
/** Read at once, in bytes: large enough that inflating, not calling, is the cost. */
const READ_BYTES = 256 * 1024;
/** How long a wait lasts at most, in ms, before the state is looked at again. */
const WAIT_MS = 1_000;

/** The writer's side. */
export class TailProgress {
  readonly buffer: TailBuffer = new SharedArrayBuffer(WORDS * BigInt64Array.BYTES_PER_ELEMENT);
  readonly #view = new BigInt64Array(this.buffer);

  /** `totalBytes` is what the file is to become, where that is known. */
  constructor(totalBytes?: number) {
    this.#view[ANNOUNCED] = totalBytes === undefined ? UNKNOWN : BigInt(totalBytes);
  }

  /** `bytes` of the file, from its start, are written. */
  advance(bytes: number): void {
    this.#set(AVAILABLE, BigInt(bytes));
  }

  /** Everything is written. */
  complete(): void {
    this.#set(STATE, COMPLETE);
  }

  /** The reader is to stop with an error, wherever it is. */
  abandon(): void {
    this.#set(STATE, ABANDONED);
  }

  /** Bytes of tar that the reader has got out of it so far. */
  get unpackedBytes(): number {
    return Number(Atomics.load(this.#view, UNPACKED));
  }

  #set(index: number, value: bigint): void {
    Atomics.store(this.#view, index, value);
    Atomics.add(this.#view, CHANGES, 1n);
    Atomics.notify(this.#view, CHANGES);
  }
}

/** The reader stopped because the writer abandoned the file. */
class AbandonedError extends Error {
  constructor() {
    super('the download was given up');
    this.name = 'AbandonedError';
  }
}

/** The reader's side; blocks its thread while there is nothing to read. */
export class Tail implements Iterable<Buffer> {
  readonly #path: string;
  readonly #view: BigInt64Array<SharedArrayBuffer>;

  constructor(path: string, buffer: TailBuffer) {
    this.#path = path;
    this.#view = new BigInt64Array(buffer);
  }

  /** Bytes of the whole file: what it has, or what was announced while it grows; undefined when nothing was. */
  get totalBytes(): number | undefined {
    const announced = Atomics.load(this.#view, ANNOUNCED);
    return this.#finalBytes ?? (announced === UNKNOWN ? undefined : Number(announced));
  }

  get #finalBytes(): number | undefined {
    return Atomics.load(this.#view, STATE) === COMPLETE ? Number(Atomics.load(this.#view, AVAILABLE)) : undefined;
  }

  /** So many bytes more of tar came out. */
  unpacked(bytes: number): void {
    Atomics.add(this.#view, UNPACKED, BigInt(bytes));
  }

  /** Throws AbandonedError when the file is given up: for work between two reads, which may be long. */
  assertWanted(): void {
    if (Atomics.load(this.#view, STATE) === ABANDONED) throw new AbandonedError();
  }

  /** The file's bytes until it is complete, each chunk valid until the next; throws AbandonedError. */
  *[Symbol.iterator](): Generator<Buffer> {
    const chunk = Buffer.allocUnsafeSlow(READ_BYTES);
    let fd: number | undefined;
    try {
      for (let position = 0; ; ) {
        const changes = Atomics.load(this.#view, CHANGES); // first: a change from here on ends the wait
        this.assertWanted();
        const final = this.#finalBytes; // before the count: a complete state then means a final count
        const available = Number(Atomics.load(this.#view, AVAILABLE));
        if (position < available) {
          fd ??= openSync(this.#path, 'r');
          const bytesRead = readSync(fd, chunk, 0, Math.min(READ_BYTES, available - position), position);
          if (bytesRead === 0) throw new AbandonedError(); // truncated under us: the writer began again or failed
          position += bytesRead;
          yield chunk.subarray(0, bytesRead);
        } else if (final !== undefined) return;
        else Atomics.wait(this.#view, CHANGES, changes, WAIT_MS);
      }
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }
}
