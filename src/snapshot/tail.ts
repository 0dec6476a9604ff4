/**
 * Reads a file that is still being written. The writer (main thread) says in
 * shared memory how far it is and whether it is done or has failed; the
 * reader (worker) follows and never reads beyond. Invariant: the bytes below
 * `available` never change.
 */
import { type FileHandle, open } from 'node:fs/promises';

/** Shared between writer and reader: the writer's count and state, and what the reader made of it. */
export type TailBuffer = SharedArrayBuffer;

const AVAILABLE = 0;
const STATE = 1;
const UNPACKED = 2;
const CELLS = 3;
const COMPLETE = 1n;
const ABANDONED = 2n;
/** Read at once, in bytes: large enough that inflating, not calling, is the cost. */
const READ_BYTES = 256 * 1024;
/** How long a wait lasts at most, in ms, before the state is looked at again. */
const WAIT_MS = 1_000;

/** The writer's side. */
export class TailProgress {
  readonly buffer: TailBuffer = new SharedArrayBuffer(CELLS * BigInt64Array.BYTES_PER_ELEMENT);
  readonly #view = new BigInt64Array(this.buffer);

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
    Atomics.notify(this.#view, AVAILABLE);
  }
}

/** Tells the writer's side that `bytes` more of tar came out. */
export function reportUnpacked(buffer: TailBuffer, bytes: number): void {
  Atomics.add(new BigInt64Array(buffer), UNPACKED, BigInt(bytes));
}

/** The reader stopped because the writer abandoned the file. */
class AbandonedError extends Error {
  constructor() {
    super('the download was given up');
    this.name = 'AbandonedError';
  }
}

/** Yields the file's bytes until it is complete; throws AbandonedError. */
export async function* tail(path: string, buffer: TailBuffer): AsyncGenerator<Buffer> {
  const view = new BigInt64Array(buffer);
  let file: FileHandle | undefined;
  try {
    for (let position = 0; ; ) {
      const state = Atomics.load(view, STATE); // before the count: a complete state then means a final count
      const available = Number(Atomics.load(view, AVAILABLE));
      if (state === ABANDONED) throw new AbandonedError();
      if (position < available) {
        file ??= await open(path, 'r');
        const chunk = Buffer.allocUnsafe(Math.min(READ_BYTES, available - position));
        const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
        if (bytesRead === 0) throw new AbandonedError(); // truncated under us: the writer began again or failed
        position += bytesRead;
        yield chunk.subarray(0, bytesRead);
      } else if (state === COMPLETE) return;
      else await Atomics.waitAsync(view, AVAILABLE, BigInt(available), WAIT_MS).value;
    }
  } finally {
    await file?.close();
  }
}
