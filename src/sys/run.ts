/**
 * Running a program to its end: input, bounded output, a deadline. The end is
 * the program's own exit, never the closing of its pipes, since a daemon it
 * left behind may hold them open for ever; what is in the pipes at that
 * moment is read, then they are closed.
 */
import { readSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import type { Readable } from 'node:stream';
import { abortError, inOwnTurn } from '../async/index.ts';
import { errnoOf } from '../errors/index.ts';
import type { SpawnOptions } from './launch.ts';
import { type Child, type ExitStatus, spawnWithFds } from './spawn.ts';

/** What to run and within which bounds. */
export interface RunOptions extends SpawnOptions {
  /** What it reads on stdin; /dev/null when absent. */
  readonly input?: Uint8Array | string;
  /** After this long the whole process group is killed. */
  readonly timeoutMs: number;
  /** Kills the group too; `run` then rejects with the signal's error. */
  readonly signal?: AbortSignal;
  /** How much of each stream is kept; what is beyond is read and dropped. 1 MiB when absent. */
  readonly outputLimitBytes?: number;
}

/** How it ended and what it said. */
export interface RunResult {
  readonly status: ExitStatus;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** The deadline passed and it was killed. */
  readonly timedOut: boolean;
}

const { SIGKILL } = osConstants.signals;
/** Output kept of each stream, unless told otherwise: far beyond what any tool says in health. */
const OUTPUT_LIMIT_BYTES = 1024 * 1024;
/** What may be read after the exit: the largest pipe an unprivileged user can make, so a busy grandchild cannot hold us. */
const DRAIN_LIMIT_BYTES = 1024 * 1024;
const DRAIN_CHUNK_BYTES = 64 * 1024;
/** How long a killed program may take to go, in ms; one stuck in the kernel is reaped later, without a waiter. */
const KILL_WAIT_MS = 5_000;

/**
 * Runs a program to its end. Never rejects for its exit status or a time-out;
 * throws what `spawn` throws, and the error of `signal` when that aborts.
 * stdout and stderr are collected unless the options say otherwise.
 */
export async function run(options: RunOptions): Promise<RunResult> {
  const { child, pipes } = await inOwnTurn(() => {
    if (options.signal?.aborted) throw abortError(options.signal);
    return spawnWithFds({
      stdout: 'pipe',
      stderr: 'pipe',
      ...options,
      stdin: options.input === undefined ? 'null' : 'pipe',
    });
  });
  const limit = options.outputLimitBytes ?? OUTPUT_LIMIT_BYTES;
  const stdout = new Output(child.stdout, pipes[1], limit);
  const stderr = new Output(child.stderr, pipes[2], limit);
  child.stdin?.end(options.input);
  const { status, timedOut } = await exitOrKill(child, options);
  const result = { status, stdout: stdout.finish(), stderr: stderr.finish(), timedOut };
  child.stdin?.destroy();
  if (options.signal?.aborted && !timedOut) throw abortError(options.signal);
  return result;
}

/** Waits for the exit; at the deadline or when the caller gives up, the group is killed and gets KILL_WAIT_MS to go. */
async function exitOrKill(child: Child, options: RunOptions): Promise<{ status: ExitStatus; timedOut: boolean }> {
  const stuck = Promise.withResolvers<ExitStatus>();
  let timedOut = false;
  let giveUp: NodeJS.Timeout | undefined;
  const kill = (): void => {
    child.kill(SIGKILL);
    giveUp ??= setTimeout(() => stuck.resolve({ code: undefined, signal: SIGKILL }), KILL_WAIT_MS);
  };
  const deadline = setTimeout(() => {
    timedOut = true;
    kill();
  }, options.timeoutMs);
  options.signal?.addEventListener('abort', kill, { once: true });
  try {
    return { status: await Promise.race([child.exited, stuck.promise]), timedOut };
  } finally {
    clearTimeout(deadline);
    clearTimeout(giveUp);
    options.signal?.removeEventListener('abort', kill);
    child.unref();
  }
}

/** Collects one output stream up to a limit. */
class Output {
  readonly #stream: Readable | undefined;
  readonly #fd: number | undefined;
  readonly #limit: number;
  readonly #chunks: Buffer[] = [];
  #size = 0;

  constructor(stream: Readable | undefined, fd: number | undefined, limit: number) {
    this.#stream = stream;
    this.#fd = fd;
    this.#limit = limit;
    stream?.on('data', (chunk: Buffer) => this.#keep(chunk));
  }

  /** Reads what is there without waiting, closes the pipe and returns everything kept. */
  finish(): Buffer {
    this.#drain();
    this.#stream?.destroy();
    return Buffer.concat(this.#chunks);
  }

  #keep(chunk: Buffer): void {
    const room = this.#limit - this.#size;
    if (room <= 0) return;
    const kept = chunk.length > room ? chunk.subarray(0, room) : chunk;
    this.#chunks.push(kept);
    this.#size += kept.length;
  }

  #drain(): void {
    if (this.#stream === undefined || this.#fd === undefined || this.#stream.destroyed) return; // the descriptor is closed
    while (this.#stream.read() !== null); // what the stream has buffered comes as 'data'
    try {
      for (let total = 0; total < DRAIN_LIMIT_BYTES; ) {
        const chunk = Buffer.allocUnsafe(DRAIN_CHUNK_BYTES);
        const count = readSync(this.#fd, chunk);
        if (count === 0) return;
        this.#keep(chunk.subarray(0, count));
        total += count;
      }
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') throw error; // EAGAIN: empty, and someone still holds the other end
    }
  }
}
