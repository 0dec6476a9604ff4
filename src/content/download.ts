/**
 * One blob into one file, hashed on the way. A cut connection is resumed
 * where it broke, a server that cannot resume sends again and what is there
 * is skipped, a stalled one is cut by us. Invariant: bytes once reported as
 * written never change, so a reader may follow the file while it grows;
 * whether they are the right ones is known only when the download resolves.
 */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { abortError, sleep } from '../async/index.ts';
import { diskError, isRuntimeError, messageOf, RuntimeError } from '../errors/index.ts';
import type { Digest } from '../ids/index.ts';
import { StallGuard, type StallPolicy } from './stall.ts';

/** An answer of the registry: bytes from `offset` on, which is what was asked for or 0. */
export interface BlobStream {
  offset: number;
  body: AsyncIterable<Uint8Array>;
}

/** How patient a download is. */
export interface TransferPolicy extends StallPolicy {
  /** Attempts in a row that bring nothing before it fails. */
  attempts: number;
  /** Wait before the second attempt; doubled for each further one. */
  backoffMs: number;
  backoffLimitMs: number;
}

export const TRANSFER_POLICY: TransferPolicy = {
  floorBytesPerSecond: 1024,
  windowMs: 30_000,
  attempts: 5,
  backoffMs: 300,
  backoffLimitMs: 10_000,
};

/** Attempts altogether: a server that cuts after every few bytes is broken. */
const ATTEMPTS_LIMIT = 100;

/** What to download where. */
export interface DownloadOptions {
  /** Opens the blob from `offset` on. REGISTRY_UNAVAILABLE is tried again, other errors end it. */
  open: (offset: number, signal: AbortSignal) => Promise<BlobStream>;
  /** A new file; it stays behind whatever happens. */
  path: string;
  digest: Digest;
  size: number;
  /** Names the blob in errors. */
  what: string;
  policy: TransferPolicy;
  signal: AbortSignal;
  /** `bytes` of the file are written. */
  onProgress: (bytes: number) => void;
}

/** Downloads and verifies. Rejects with IMAGE_DIGEST, PULL_STALLED, REGISTRY_UNAVAILABLE, DISK_FULL, what `open` says, or the signal's error. */
export async function download(options: DownloadOptions): Promise<void> {
  const file = await open(options.path, 'wx', 0o600).catch((error: unknown) => {
    throw diskError(error, `writing ${dirname(options.path)}`);
  });
  const transfer = new Transfer(options, file);
  try {
    await transfer.run();
  } finally {
    await file.close();
  }
}

/** The connection broke: try again. */
class CutError extends Error {}

class Transfer {
  readonly #options: DownloadOptions;
  readonly #file: FileHandle;
  readonly #hash: Hash = createHash('sha256');
  #written = 0;

  constructor(options: DownloadOptions, file: FileHandle) {
    this.#options = options;
    this.#file = file;
  }

  async run(): Promise<void> {
    const { policy, signal } = this.#options;
    let fruitless = 0;
    for (let attempt = 1; this.#written < this.#options.size || attempt === 1; attempt += 1) {
      const before = this.#written;
      try {
        await this.#attempt();
      } catch (error) {
        if (signal.aborted) throw abortError(signal);
        if (!isTransient(error)) throw error;
        fruitless = this.#written > before ? 1 : fruitless + 1;
        if (fruitless >= policy.attempts || attempt >= ATTEMPTS_LIMIT) throw this.#givenUp(error);
        await sleep(Math.min(policy.backoffMs * 2 ** (fruitless - 1), policy.backoffLimitMs), signal);
      }
    }
    const digest = `sha256:${this.#hash.digest('hex')}`;
    if (digest !== this.#options.digest) throw this.#wrong(`its digest is ${digest}`);
  }

  /** One connection, to the end of the blob or to its cut. */
  async #attempt(): Promise<void> {
    const { policy, signal } = this.#options;
    const controller = new AbortController();
    const relay = (): void => controller.abort(abortError(signal));
    signal.addEventListener('abort', relay, { once: true });
    if (signal.aborted) relay();
    using guard = new StallGuard(policy, () => controller.abort(this.#stalled()));
    try {
      const { offset, body } = await this.#options.open(this.#written, controller.signal);
      await this.#receive(offset, body, guard);
    } catch (error) {
      if (!signal.aborted && controller.signal.aborted) throw controller.signal.reason; // the stall, not its echo
      throw error;
    } finally {
      signal.removeEventListener('abort', relay);
    }
    if (this.#written < this.#options.size) throw new CutError(`the answer ended after ${this.#written} of ${this.#options.size} bytes`);
  }

  async #receive(offset: number, body: AsyncIterable<Uint8Array>, guard: StallGuard): Promise<void> {
    let skip = this.#written - offset;
    for await (const chunk of cutAware(body)) {
      guard.count(chunk.length);
      const fresh = skip > 0 ? chunk.subarray(skip) : chunk;
      skip = Math.max(0, skip - chunk.length);
      if (this.#written + fresh.length > this.#options.size) throw this.#wrong(`it is longer than ${this.#options.size} bytes`);
      await this.#write(fresh);
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    this.#hash.update(bytes);
    try {
      for (let at = 0; at < bytes.length; ) {
        at += (await this.#file.write(bytes, at, bytes.length - at, this.#written + at)).bytesWritten;
      }
    } catch (error) {
      throw diskError(error, `writing ${dirname(this.#options.path)}`);
    }
    this.#written += bytes.length;
    this.#options.onProgress(this.#written);
  }

  #wrong(why: string): RuntimeError {
    const message = `what the registry sent as ${this.#options.what} is not what was asked for (${this.#options.digest}): ${why}; pull again, and if it stays, look at the registry or the proxy before it`;
    return new RuntimeError('unknown', 'IMAGE_DIGEST', message);
  }

  #stalled(): RuntimeError {
    const { floorBytesPerSecond, windowMs } = this.#options.policy;
    const message = `the download of ${this.#options.what} delivered less than ${floorBytesPerSecond} bytes/s for ${windowMs / 1000} s, again and again; check the path to the registry`;
    return new RuntimeError('unknown', 'PULL_STALLED', message);
  }

  #givenUp(error: unknown): unknown {
    if (error instanceof RuntimeError) return error;
    const message = `the download of ${this.#options.what} broke off again and again: ${messageOf(error)}; check the path to the registry`;
    return new RuntimeError('unknown', 'REGISTRY_UNAVAILABLE', message, { cause: error });
  }
}

const isTransient = (error: unknown): boolean =>
  error instanceof CutError || isRuntimeError(error, 'REGISTRY_UNAVAILABLE') || isRuntimeError(error, 'PULL_STALLED');

/** The body's own errors, told apart from ours of writing it. */
async function* cutAware(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw new CutError(messageOf(error), { cause: error });
  }
}
