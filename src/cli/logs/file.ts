/**
 * Lines of a log file that may still be written and rotated. A reader is at
 * one file (by inode) and one offset; when it is at the end and the path has
 * come to name another file, the old one is read out first and then the new
 * one from its start, so that rotation (rename, then reopen) loses nothing.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { sleep } from '../../async/index.ts';
import { errnoOf, messageOf, RuntimeError } from '../../errors/index.ts';
import { parseLogEntry } from './line.ts';

const NEWLINE = 0x0a;
const CHUNK_BYTES = 64 * 1024;
/** A torn line is handed on when it grows beyond this, bytes; conmon's lines are at most 8 KiB of content. */
const TORN_LIMIT_BYTES = 1 << 20;
/** How often a file at its end is looked at; one fstat and one stat each. */
const POLL_MS = 100;

/** What to read. */
export interface ReadLogOptions {
  readonly path: string;
  /** Only the last so many whole lines of what is there at the start. */
  readonly tail?: number | undefined;
  /** Go on at the end of the file until this answers true; then read out and end. */
  readonly ended?: (() => Promise<boolean>) | undefined;
  readonly signal: AbortSignal;
}

/** Lines without their newlines. Throws LOG_FAILED when the file cannot be opened or read. */
export async function* readLog(options: ReadLogOptions): AsyncGenerator<Buffer> {
  const { path, signal } = options;
  let file = await openLog(path);
  try {
    let offset = options.tail === undefined ? 0 : await tailOffset(file, options.tail);
    let ended = false;
    for (;;) {
      const before = offset;
      for await (const { line, next } of linesFrom(file, offset)) {
        yield line;
        offset = next;
      }
      if (offset > before) continue;
      if (options.ended === undefined) break;
      const { size } = await file.stat();
      const next = await successor(file, path);
      if (size < offset && next === undefined) {
        offset = 0; // truncated in place
      } else if (next !== undefined) {
        // Nothing is written to the old file once the path names a new one, but some may have been since it was read.
        for await (const { line } of linesFrom(file, offset)) yield line;
        await file.close();
        file = next;
        offset = 0;
      } else if (ended) {
        break; // it had ended before all this was read
      } else {
        ended = await options.ended();
        if (!ended) await sleep(POLL_MS, signal);
      }
    }
    const { line: torn } = await readTorn(file, offset);
    if (torn.length > 0) yield torn;
  } finally {
    await file.close();
  }
}

async function openLog(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw new RuntimeError(
      'not-found',
      'LOG_FAILED',
      `the log ${path} cannot be opened: ${messageOf(error)}; logs are read from the node’s own disk, as root`,
      {
        cause: error,
      },
    );
  }
}

/** The file the path names now, when it is another one; undefined while it is the same or missing. */
async function successor(file: FileHandle, path: string): Promise<FileHandle | undefined> {
  try {
    const [mine, named] = await Promise.all([file.stat(), stat(path)]);
    return mine.ino === named.ino && mine.dev === named.dev ? undefined : await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined; // renamed away, not reopened yet
    throw error;
  }
}

interface LineAt {
  readonly line: Buffer;
  /** Offset behind its newline. */
  readonly next: number;
}

/** Every whole line from `offset` to the present end. */
async function* linesFrom(file: FileHandle, offset: number): AsyncGenerator<LineAt> {
  let at = offset;
  let held: Buffer = Buffer.alloc(0);
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, at + held.length);
    if (bytesRead === 0) return;
    held = held.length === 0 ? chunk.subarray(0, bytesRead) : Buffer.concat([held, chunk.subarray(0, bytesRead)]);
    let start = 0;
    for (let newline = held.indexOf(NEWLINE); newline >= 0; newline = held.indexOf(NEWLINE, start)) {
      at += newline + 1 - start;
      yield { line: held.subarray(start, newline), next: at };
      start = newline + 1;
    }
    held = held.subarray(start);
    if (held.length < TORN_LIMIT_BYTES) continue;
    at += held.length;
    yield { line: held, next: at };
    held = Buffer.alloc(0);
  }
}

/** What stands behind the last newline: a line that is still being written, or never was finished. */
async function readTorn(file: FileHandle, offset: number): Promise<{ line: Buffer }> {
  const chunk = Buffer.alloc(TORN_LIMIT_BYTES);
  const { bytesRead } = await file.read(chunk, 0, TORN_LIMIT_BYTES, offset);
  return { line: chunk.subarray(0, bytesRead) };
}

/** Offset from which `count` whole lines (entries that are not partial) follow. */
async function tailOffset(file: FileHandle, count: number): Promise<number> {
  let { size: end } = await file.stat();
  if (count === 0) return end;
  let seen = 0;
  let held: Buffer = Buffer.alloc(0);
  while (end > 0) {
    const length = Math.min(CHUNK_BYTES, end);
    const chunk = Buffer.alloc(length);
    await file.read(chunk, 0, length, end - length);
    end -= length;
    held = Buffer.concat([chunk, held]);
    // Every line but the first of what is held is whole.
    for (;;) {
      const stop = held.length > 0 && held[held.length - 1] === NEWLINE ? held.length - 1 : held.length;
      const newline = held.lastIndexOf(NEWLINE, stop - 1);
      if (stop === 0 || newline < 0) break;
      const line = held.subarray(newline + 1, stop);
      if (parseLogEntry(line)?.partial !== true) seen += 1;
      if (seen > count) return end + held.length;
      held = held.subarray(0, newline + 1);
    }
  }
  const first = parseLogEntry(held.subarray(0, Math.max(0, held.length - 1)));
  return seen >= count && first?.partial !== true ? held.length : 0;
}
