/**
 * The CRI log format, one line at a time (KEP "CRI container logging"):
 * `RFC3339NANO SP stdout|stderr SP TAG[:TAG...] SP CONTENT`, where tag P marks
 * a piece of a longer line and F its end. Content is bytes and stays bytes.
 * The joiner puts pieces together per stream, because the two streams of a
 * container interleave freely.
 */

/** One line as the container wrote it. */
export interface LogLine {
  /** As in the file, of its first piece; '' when the line is not in the format. */
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  /** Without the newline. */
  readonly content: Buffer;
}

/** One line of the file. */
export interface LogEntry extends LogLine {
  /** True for a piece that is not the end of its line. */
  readonly partial: boolean;
}

const SPACE = 0x20;
/** Longest line that is held for joining, bytes; what is longer comes in several. */
const JOIN_LIMIT_BYTES = 1 << 20;

/** Parses one line of the file, without its newline; undefined when it is not in the format. */
export function parseLogEntry(line: Buffer): LogEntry | undefined {
  const afterTime = line.indexOf(SPACE);
  const afterStream = line.indexOf(SPACE, afterTime + 1);
  if (afterTime < 0 || afterStream < 0) return undefined;
  const afterTag = line.indexOf(SPACE, afterStream + 1);
  const time = line.toString('latin1', 0, afterTime);
  const stream = line.toString('latin1', afterTime + 1, afterStream);
  const [tag] = line.toString('latin1', afterStream + 1, afterTag < 0 ? line.length : afterTag).split(':');
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  if ((tag !== 'P' && tag !== 'F') || Number.isNaN(Date.parse(time))) return undefined;
  return { time, stream, partial: tag === 'P', content: afterTag < 0 ? Buffer.alloc(0) : line.subarray(afterTag + 1) };
}

interface Pending {
  readonly time: string;
  readonly pieces: Buffer[];
  bytes: number;
}

/** Makes whole lines of entries. */
export class LineJoiner {
  readonly #pending = new Map<LogLine['stream'], Pending>();

  /** The line that `entry` completes; undefined while pieces are outstanding. */
  push(entry: LogEntry): LogLine | undefined {
    const pending = this.#pending.get(entry.stream) ?? { time: entry.time, pieces: [], bytes: 0 };
    pending.pieces.push(entry.content);
    pending.bytes += entry.content.length;
    if (entry.partial && pending.bytes < JOIN_LIMIT_BYTES) {
      this.#pending.set(entry.stream, pending);
      return undefined;
    }
    this.#pending.delete(entry.stream);
    return { time: pending.time, stream: entry.stream, content: Buffer.concat(pending.pieces) };
  }

  /** What never got its end: a container that ended without a newline. */
  *rest(): Generator<LogLine> {
    for (const [stream, { time, pieces }] of this.#pending) yield { time, stream, content: Buffer.concat(pieces) };
    this.#pending.clear();
  }
}
