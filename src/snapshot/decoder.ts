/**
 * zlib and zstd of Node without its streams: this thread does nothing else,
 * so a call that returns when it is done, into one buffer that is used again
 * and again, costs 40 % less than a stream with its thread pool, events and
 * a new buffer for each chunk. Node offers that for whole buffers only
 * (gunzipSync), so this drives the handle inside its transform, which is
 * private: test/unit/snapshot/decoder.test.ts pins how it behaves (members in
 * a row, padding, truncation, errors), and a handle that is not there is an
 * error of its own.
 */
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import { RuntimeError } from '../errors/index.ts';
import { layerError } from '../tar/index.ts';

/** Output at once, in bytes: small enough for the processor's cache, large enough that calls do not count. */
const OUTPUT_BYTES = 256 * 1024;
/** The largest window of a zstd frame, as a power of two: 128 MiB of memory, what `zstd -d` takes too unless told otherwise. */
const WINDOW_LOG_LIMIT = 27;
const WINDOW_TOO_LARGE = 'ZSTD_error_frameParameter_windowTooLarge';

/** The part of Node's handle that is used: like inflate(3), it reads and writes as much as it can. */
interface Handle {
  writeSync(flush: number, input: Buffer, inputAt: number, inputBytes: number, output: Buffer, outputAt: number, outputBytes: number): void;
  onerror: (message: string, errno: number, code: string) => void;
}

/** A transform of node:zlib as it is inside: `_writeState` is [output left, input left] of the last write. */
interface Inside {
  _handle?: Partial<Handle> | null;
  _writeState?: Uint32Array;
  destroy(): void;
}

/** Decodes one stream of any number of members or frames. */
export interface Decoder extends Disposable {
  /** Yields what `input` decodes to, each chunk valid until the next; throws IMAGE_LAYER. */
  decode(input: Buffer): Generator<Buffer>;
  /** Bytes at the end of the last input that are no compressed data. */
  readonly unread: number;
  /** A member has ended and no other begins behind it. */
  readonly ended: boolean;
  /** There is no more input. Throws IMAGE_LAYER when the stream is not complete. */
  finish(): Generator<Buffer>;
}

/** A decoder for what was recognised by its first bytes. */
export function createDecoder(format: 'gzip' | 'zstd'): Decoder {
  if (format === 'gzip') return new HandleDecoder(createGunzip() as unknown as Inside, constants.Z_NO_FLUSH, constants.Z_FINISH);
  const zstd = createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_LIMIT } });
  return new HandleDecoder(zstd as unknown as Inside, constants.ZSTD_e_continue, constants.ZSTD_e_end);
}

class HandleDecoder implements Decoder {
  readonly #inside: Inside;
  readonly #handle: Handle;
  readonly #state: Uint32Array;
  readonly #flush: { more: number; end: number };
  readonly #output = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  #failure: { message: string; code: string } | undefined;
  unread = 0;
  ended = false;

  constructor(inside: Inside, more: number, end: number) {
    const { _handle: handle, _writeState: state } = inside;
    if (typeof handle?.writeSync !== 'function' || !(state instanceof Uint32Array)) {
      inside.destroy();
      throw new RuntimeError(
        'internal',
        'INTERNAL',
        `Node ${process.version} has no zlib handle as berth drives it; run berth with the Node it was built for`,
      );
    }
    this.#inside = inside;
    this.#handle = handle as Handle;
    this.#state = state;
    this.#flush = { more, end };
    this.#handle.onerror = (message, _errno, code) => {
      this.#failure = { message, code };
    };
  }

  *decode(input: Buffer): Generator<Buffer> {
    yield* this.#write(input, this.#flush.more);
  }

  *finish(): Generator<Buffer> {
    if (!this.ended) yield* this.#write(Buffer.alloc(0), this.#flush.end);
  }

  [Symbol.dispose](): void {
    this.#inside.destroy();
  }

  *#write(input: Buffer, flush: number): Generator<Buffer> {
    for (let at = 0; ; ) {
      this.#handle.writeSync(flush, input, at, input.length - at, this.#output, 0, OUTPUT_BYTES);
      if (this.#failure !== undefined) throw broken(this.#failure);
      const [outputLeft = 0, inputLeft = 0] = this.#state;
      at = input.length - inputLeft;
      if (outputLeft < OUTPUT_BYTES) yield this.#output.subarray(0, OUTPUT_BYTES - outputLeft);
      if (outputLeft === 0) continue; // there may be more to come out
      this.unread = inputLeft;
      this.ended = inputLeft > 0; // room left and input left: it does not want that
      return;
    }
  }
}

function broken({ message, code }: { message: string; code: string }): RuntimeError {
  if (code !== WINDOW_TOO_LARGE) return layerError(`its compression is broken (${message})`);
  const why = `its zstd frames need a window of more than ${2 ** (WINDOW_LOG_LIMIT - 20)} MiB of memory`;
  return layerError(`${why}; compress it without --ultra --long=${WINDOW_LOG_LIMIT + 1} or more`);
}
