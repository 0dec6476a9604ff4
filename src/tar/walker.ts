/**
 * Walks a tar stream given in chunks of any size and tells a sink about each
 * member. It resolves what lies between headers: PAX and GNU extended
 * headers, padding, the end mark. Invariant: nothing is buffered but one
 * header and one bounded extended header; a file's data goes to the sink as
 * slices of the chunk it came in.
 */
import { type ByteString, byteString, layerError, printable } from './bytes.ts';
import { BLOCK_BYTES, parseHeader, type TarHeader } from './header.ts';
import { type Extended, parsePax, type Timestamp } from './pax.ts';

/** One member, extended headers applied. */
export interface Member {
  path: ByteString;
  type: 'file' | 'hardlink' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo';
  linkPath: ByteString;
  /** Permission bits with setuid, setgid and sticky. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of data; 0 for anything but a file. */
  size: number;
  mtime: Timestamp;
  deviceMajor: number;
  deviceMinor: number;
  xattrs: ReadonlyMap<string, Buffer>;
}

/** Who takes the members. Calls come in order: begin, data*, end. */
export interface TarSink {
  begin(member: Member): void;
  /** Some of a file's bytes, valid during the call only. */
  data(chunk: Buffer): void;
  end(): void;
  /** Every byte that is not file data, in the order of the stream and before what it leads to; valid during the call only. */
  raw?(chunk: Buffer): void;
}

/** An extended header may be this long: names and attributes need a few KiB. */
const EXTENDED_LIMIT_BYTES = 1024 * 1024;
const TYPES: Readonly<Record<string, Member['type']>> = {
  '0': 'file',
  '7': 'file', // contiguous: a file to everyone
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

type State = 'header' | 'extended' | 'data' | 'padding' | 'ended';

export class TarWalker {
  readonly #sink: TarSink;
  readonly #block = Buffer.alloc(BLOCK_BYTES);
  #blockFill = 0;
  #state: State = 'header';
  /** Bytes of data (or of the extended header, or of padding) still to come. */
  #remaining = 0;
  #padding = 0;
  #extended = Buffer.alloc(0);
  #extendedFill = 0;
  #extendedType = '';
  /** For the next member, and for all that follow. */
  #next: Extended = {};
  #global: Extended = {};

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** Takes the next bytes of the stream. Throws IMAGE_LAYER for what is no tar, and what the sink throws. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === 'ended') {
        this.#sink.raw?.(chunk.subarray(at)); // what follows the end mark is not part of the archive, but of its digest
        return;
      }
      if (this.#state === 'header') {
        const taken = chunk.copy(this.#block, this.#blockFill, at, at + BLOCK_BYTES - this.#blockFill);
        this.#sink.raw?.(chunk.subarray(at, at + taken));
        at += taken;
        this.#blockFill += taken;
        if (this.#blockFill === BLOCK_BYTES) this.#header();
        continue;
      }
      const slice = chunk.subarray(at, at + this.#remaining);
      at += slice.length;
      this.#remaining -= slice.length;
      if (this.#state === 'data') this.#sink.data(slice);
      else this.#sink.raw?.(slice);
      if (this.#state === 'extended') this.#extendedFill += slice.copy(this.#extended, this.#extendedFill);
      if (this.#remaining === 0) this.#endPart();
    }
  }

  /** True behind the end mark. */
  get ended(): boolean {
    return this.#state === 'ended';
  }

  /** Passes over what is left of the present member's data: the next push begins behind it. Answers the bytes left out, 0 between members. */
  skip(): number {
    if (this.#state !== 'data') return 0;
    const bytes = this.#remaining;
    this.#remaining = 0;
    this.#endPart();
    return bytes;
  }

  /** The stream has ended. Throws IMAGE_LAYER when that was in the middle of a member. */
  finish(): void {
    const whole = this.#state === 'ended' || (this.#state === 'header' && this.#blockFill === 0);
    if (!whole) throw layerError('the archive ends in the middle of a member');
  }

  #header(): void {
    this.#blockFill = 0;
    const header = parseHeader(this.#block);
    if (header === undefined) {
      this.#state = 'ended';
      return;
    }
    if ('xgLK'.includes(header.type)) this.#beginExtended(header);
    else this.#beginMember(header);
  }

  #beginExtended(header: TarHeader): void {
    if (header.size > EXTENDED_LIMIT_BYTES) throw layerError(`an extended header is longer than ${EXTENDED_LIMIT_BYTES} bytes`);
    this.#extended = Buffer.alloc(header.size);
    this.#extendedFill = 0;
    this.#extendedType = header.type;
    this.#enter('extended', header.size);
  }

  #beginMember(header: TarHeader): void {
    const member = this.#resolve(header);
    this.#next = {};
    this.#sink.begin(member);
    if (member.size > 0) this.#enter('data', member.size);
    else this.#sink.end();
  }

  #resolve(header: TarHeader): Member {
    const extended = { ...this.#global, ...this.#next };
    const path = extended.path ?? header.path;
    const type = TYPES[header.type];
    if (type === undefined) throw layerError(`the member ${printable(path)} is of type ${printable(header.type)}, which is not supported`);
    return {
      path,
      type,
      linkPath: extended.linkPath ?? header.linkPath,
      mode: header.mode & 0o7777,
      uid: extended.uid ?? header.uid,
      gid: extended.gid ?? header.gid,
      size: type === 'file' ? (extended.size ?? header.size) : 0,
      mtime: extended.mtime ?? { seconds: BigInt(header.mtimeSeconds), nanoseconds: 0 },
      deviceMajor: header.deviceMajor,
      deviceMinor: header.deviceMinor,
      xattrs: extended.xattrs ?? NO_XATTRS,
    };
  }

  #enter(state: 'extended' | 'data', size: number): void {
    this.#state = state;
    this.#remaining = size;
    this.#padding = (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
    if (size === 0) this.#endPart();
  }

  /** Data, an extended header or padding is complete. */
  #endPart(): void {
    if (this.#state === 'data') this.#sink.end();
    if (this.#state === 'extended') this.#applyExtended();
    const pads = this.#state !== 'padding' && this.#padding > 0;
    this.#state = pads ? 'padding' : 'header';
    this.#remaining = pads ? this.#padding : 0;
  }

  #applyExtended(): void {
    if (this.#extendedType === 'g') this.#global = { ...this.#global, ...parsePax(this.#extended) };
    else if (this.#extendedType === 'x') this.#next = { ...this.#next, ...parsePax(this.#extended) };
    else {
      const end = this.#extended.indexOf(0);
      const name = byteString(end < 0 ? this.#extended : this.#extended.subarray(0, end));
      this.#next = { ...this.#next, ...(this.#extendedType === 'L' ? { path: name } : { linkPath: name }) };
    }
    this.#extended = Buffer.alloc(0);
  }
}
