/**
 * One blob into one file, hashed on the way. What an earlier download left in
 * the file is hashed again and the rest asked for; a cut connection is
 * resumed where it broke, a server that cannot resume sends again and what is
 * there is skipped, a stalled one is cut by us. Invariant: bytes once
 * reported as written never change, so a reader may follow the file while it
 * grows; whether they are the right ones is known only when the download
 * resolves.
 */
import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { abortError, sleep } from '../async/index.ts';
import { diskError, isRuntimeError, messageOf, RuntimeError } from '../errors/index.ts';
import type { Digest } from '../ids/index.ts';
import { StallGuard, type StallPolicy } from './stall.ts';

/** An answer of the registry: bytes from `offset` on, which is at most what was asked for. */
export interface BlobStream {
  offset: number;
  /** Bytes of the whole blob, as the server says. */
  total?: number | undefined;
  body: AsyncIterable<Uint8Array>;
}

/** How patient a download is. */
export interface TransferPolicy extends StallPolicy {
  /** An answer must have begun after this: log-in, redirects and mirrors that are down included. */
  openMs: number;
  /** Attempts in a row that bring nothing before it fails. */
  attempts: number;
  /** Wait before the second attempt; doubled for each further one. */
  backoffMs: number;
  backoffLimitMs: number;
}

/** Of everything but what is configured. */
export const TRANSFER_POLICY: Omit<TransferPolicy, keyof StallPolicy> = {
  openMs: 120_000,
  attempts: 5,
  backoffMs: 300,
  backoffLimitMs: 10_000,
};

/** Attempts altogether: a server that cuts after every few bytes is broken. */
const ATTEMPTS_LIMIT = 100;
/** Hashed between two turns of the event loop, of what is in the file already. */
const HASH_BYTES = 256 * 1024;

/** Told what happens on the way. */
export interface DownloadObserver {
  /** The file has `bytes` of an earlier download. */
  found(bytes: number): void;
  /** A connection answered: `behind` bytes are in the file, it sends from `offset` on. */
  opened(connection: { behind: number; offset: number }): void;
  /** `bytes` of the file are written, or were there and are hashed. */
  written(bytes: number): void;
  /** So many bytes came over the network, some of which may be there already. */
  received(bytes: number): void;
  /** An attempt failed for `reason` and another follows. */
  retried(reason: 'REGISTRY_UNAVAILABLE' | 'PULL_STALLED'): void;
}

/** What to download where. */
export interface DownloadOptions {
  /** Opens the blob from `offset` on. REGISTRY_UNAVAILABLE is tried again, other errors end it. */
  open: (offset: number, signal: AbortSignal) => Promise<BlobStream>;
  /** Made if it does not exist, gone on with if it does; it stays behind whatever happens. */
  path: string;
  digest: Digest;
  size: number;
  /** Names the blob in errors. */
  what: string;
  policy: TransferPolicy;
  signal: AbortSignal;
  observer: DownloadObserver;
}

/** Downloads and verifies. Rejects with IMAGE_DIGEST, PULL_STALLED, REGISTRY_UNAVAILABLE, DISK_FULL, what `open` says, or the signal's error. */
export async function download(options: DownloadOptions): Promise<void> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const file = await open(options.path, flags, 0o600).catch((error: unknown) => {
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
    const { policy, signal, size, observer } = this.#options;
    await this.#adopt();
    let fruitless = 0;
    for (let attempt = 1; this.#written < size; attempt += 1) {
      const before = this.#written;
      try {
        await this.#attempt();
      } catch (error) {
        if (signal.aborted) throw abortError(signal);
        if (!isTransient(error)) throw error;
        if (this.#written === size) break; // all of it came; only the end of the answer did not
        fruitless = this.#written - before >= this.#worthOf(error) ? 0 : fruitless + 1;
        if (fruitless >= policy.attempts || attempt >= ATTEMPTS_LIMIT) throw this.#givenUp(error);
        observer.retried(isRuntimeError(error, 'PULL_STALLED') ? 'PULL_STALLED' : 'REGISTRY_UNAVAILABLE');
        await sleep(Math.min(policy.backoffMs * 2 ** Math.max(0, fruitless - 1), policy.backoffLimitMs), signal);
      }
    }
    const digest = `sha256:${this.#hash.digest('hex')}`;
    if (digest !== this.#options.digest) throw this.#wrong(`its digest is ${digest}`);
  }

  /** Hashes what is in the file. More than the blob can have is nothing of it. */
  async #adopt(): Promise<void> {
    const { size, signal, observer } = this.#options;
    try {
      const { size: present } = await this.#file.stat();
      if (present > size) await this.#file.truncate(0);
      else if (present > 0) observer.found(present);
      const buffer = Buffer.allocUnsafe(Math.min(HASH_BYTES, present));
      while (present <= size && this.#written < present) {
        const { bytesRead } = await this.#file.read(buffer, 0, Math.min(buffer.length, present - this.#written), this.#written);
        if (signal.aborted) throw abortError(signal);
        if (bytesRead === 0) break;
        this.#hash.update(buffer.subarray(0, bytesRead));
        this.#took(bytesRead);
      }
    } catch (error) {
      throw diskError(error, `reading ${dirname(this.#options.path)}`);
    }
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
      await this.#receive(await this.#open(controller), guard);
    } catch (error) {
      if (!signal.aborted && controller.signal.aborted) throw controller.signal.reason; // the stall, not its echo
      throw error;
    } finally {
      signal.removeEventListener('abort', relay);
      controller.abort(); // an answer that was not read to its end
    }
    if (this.#written < this.#options.size) throw new CutError(`the answer ended after ${this.#written} of ${this.#options.size} bytes`);
  }

  async #open(controller: AbortController): Promise<BlobStream> {
    const { policy, what, size, observer } = this.#options;
    const late = (): void => controller.abort(new CutError(`no answer began within ${policy.openMs / 1000} s`));
    const timer = setTimeout(late, policy.openMs);
    try {
      const stream = await this.#options.open(this.#written, controller.signal);
      if (stream.offset > this.#written) throw new CutError(`${what} was sent from byte ${stream.offset}, not ${this.#written}`);
      observer.opened({ behind: this.#written, offset: stream.offset });
      if (stream.total !== undefined && stream.total !== size)
        throw this.#wrong(`the registry has ${stream.total} bytes of it, not ${size}`);
      return stream;
    } finally {
      clearTimeout(timer);
    }
  }

  async #receive({ offset, body }: BlobStream, guard: StallGuard): Promise<void> {
    const { size, observer } = this.#options;
    let skip = this.#written - offset;
    guard.wait();
    for await (const chunk of cutAware(body)) {
      guard.came(chunk.length);
      observer.received(chunk.length);
      const fresh = skip > 0 ? chunk.subarray(skip) : chunk;
      skip = Math.max(0, skip - chunk.length);
      if (this.#written + fresh.length > size) throw this.#wrong(`it is longer than ${size} bytes`);
      await this.#write(fresh);
      guard.wait();
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    const writing = this.#writeAll(bytes); // another thread writes while this one hashes
    this.#hash.update(bytes);
    try {
      await writing;
    } catch (error) {
      throw diskError(error, `writing ${dirname(this.#options.path)}`);
    }
    this.#took(bytes.length);
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      at += (await this.#file.write(bytes, at, bytes.length - at, this.#written + at)).bytesWritten;
    }
  }

  /** So many bytes more are in the file and hashed. */
  #took(bytes: number): void {
    this.#written += bytes;
    this.#options.observer.written(this.#written);
  }

  /** Bytes that make a failed attempt a step forward: any of a connection that was cut, a good window's of one that stalled. */
  #worthOf(error: unknown): number {
    const { floorBytesPerSecond, windowMs } = this.#options.policy;
    return isRuntimeError(error, 'PULL_STALLED') ? Math.max(1, (floorBytesPerSecond * windowMs) / 1000) : 1;
  }

  #wrong(why: string): RuntimeError {
    const message = `what the registry sent as ${this.#options.what} is not what was asked for (${this.#options.digest}): ${why}; pull again, and if it stays, look at the registry or the proxy before it`;
    return new RuntimeError('unknown', 'IMAGE_DIGEST', message);
  }

  #stalled(): RuntimeError {
    const { floorBytesPerSecond, windowMs } = this.#options.policy;
    const message = `the download of ${this.#options.what} delivered less than ${floorBytesPerSecond} bytes/s (images.stall_floor_bytes_per_second) for ${windowMs / 1000} s (images.stall_window_ms), again and again; check the path to the registry`;
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
