/**
 * Walks a tar stream given in chunks of any size and tells a sink about each
 * member. It resolves what lies between headers: PAX and GNU extended
 * headers, maps of sparse files, padding, the end mark. Invariant: nothing is
 * buffered but one header, one bounded extended header and one bounded map;
 * a file's data goes to the sink as slices of the chunk it came in.
 */
import { type ByteString, byteString, layerError, printable } from './bytes.ts';
import { BLOCK_BYTES } from './fields.ts';
import { isZero, parseHeader, type TarHeader } from './header.ts';
import { type Extended, parsePax, type Timestamp, tooManyXattrs, XATTRS_LIMIT } from './pax.ts';
import { checkedExtents, type Extent, GnuMap, type MapReader, type PaxSparse, TextMap } from './sparse.ts';

/** One member, extended headers applied. */
export interface Member {
  path: ByteString;
  type: 'file' | 'hardlink' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo';
  linkPath: ByteString;
  /** Permission bits with setuid, setgid and sticky. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of the file with its holes; 0 for anything but a file. */
  size: number;
  /** Bytes that come as data: `size`, less for a sparse file. */
  storedBytes: number;
  /** Where the data belongs in a sparse file, in order, together `storedBytes` long; the rest of it is holes. */
  extents?: readonly Extent[];
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
/** The largest number chown(2) takes as an owner; the next one means "leave it". */
const OWNER_LIMIT = 0xfffffffe;
/** Linux device numbers have 12 and 20 bits; more would be cut, and be another device. */
const MAJOR_LIMIT = 0xfff;
const MINOR_LIMIT = 0xfffff;
/** The end mark is two blocks of zeros; archives that end after one, or none, are taken too. */
const END_BLOCKS = 2;
const VOLUME_LABEL = 'V';
const V7 = '\0';
const TYPES: Readonly<Record<string, Member['type']>> = {
  [V7]: 'file',
  '0': 'file',
  '7': 'file', // contiguous: a file to everyone
  S: 'file', // sparse, as GNU tar writes it
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

/** `header`, `map` and `mark` take whole blocks, the others any number of bytes. */
type State = 'header' | 'map' | 'mark' | 'extended' | 'skipped' | 'data' | 'padding' | 'ended';

export class TarWalker {
  readonly #sink: TarSink;
  readonly #block = Buffer.alloc(BLOCK_BYTES);
  #blockFill = 0;
  #state: State = 'header';
  #zeroBlocks = 0;
  /** Bytes of data (or of the extended header, or of padding) still to come. */
  #remaining = 0;
  #padding = 0;
  #extended = Buffer.alloc(0);
  #extendedFill = 0;
  #extendedType = '';
  /** For the next member, and for all that follow. */
  #next: Extended = {};
  #global: Extended = {};
  /** A sparse file whose map is being read. */
  #mapped: { member: Member; map: MapReader } | undefined;

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
      if (this.#state === 'header' || this.#state === 'map' || this.#state === 'mark') {
        const taken = chunk.copy(this.#block, this.#blockFill, at, at + BLOCK_BYTES - this.#blockFill);
        this.#sink.raw?.(chunk.subarray(at, at + taken));
        at += taken;
        this.#blockFill += taken;
        if (this.#blockFill === BLOCK_BYTES) this.#takeBlock();
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
    const between = (this.#state === 'header' || this.#state === 'mark') && this.#blockFill === 0;
    if (this.#state !== 'ended' && !between) throw layerError('the archive ends in the middle of a member');
  }

  #takeBlock(): void {
    this.#blockFill = 0;
    if (this.#state === 'map') this.#takeMap();
    else if (this.#state === 'mark') this.#takeMark();
    else this.#header();
  }

  #header(): void {
    const header = parseHeader(this.#block);
    if (header === undefined) this.#takeMark();
    else if ('xgLK'.includes(header.type)) this.#beginExtended(header);
    else if (header.type === VOLUME_LABEL) this.#enter('skipped', header.size);
    else this.#beginMember(header);
  }

  /** Readers differ about what follows a single block of zeros: some go on, some stop, so it is refused. */
  #takeMark(): void {
    if (!isZero(this.#block)) throw layerError('it goes on after a block of zeros, which is half of an end mark');
    this.#zeroBlocks += 1;
    this.#state = this.#zeroBlocks === END_BLOCKS ? 'ended' : 'mark';
  }

  #beginExtended(header: TarHeader): void {
    if (header.size > EXTENDED_LIMIT_BYTES) throw layerError(`an extended header is longer than ${EXTENDED_LIMIT_BYTES} bytes`);
    this.#extended = Buffer.alloc(header.size);
    this.#extendedFill = 0;
    this.#extendedType = header.type;
    this.#enter('extended', header.size);
  }

  #beginMember(header: TarHeader): void {
    const extended = merged(this.#global, this.#next);
    this.#next = {};
    const member = resolveMember(header, extended);
    const gnu = header.type === 'S' ? new GnuMap(this.#block) : undefined;
    if (gnu !== undefined) this.#beginSparse({ ...member, size: gnu.realSize }, gnu);
    else if (member.type === 'file' && extended.sparse !== undefined) this.#beginPaxSparse(member, extended.sparse);
    else this.#open(member);
    if (header.type === V7 && member.type === 'directory') this.#enter('skipped', header.size);
  }

  /** Old GNU: extension blocks come between the header and the data. */
  #beginSparse(member: Member, map: GnuMap): void {
    if (map.complete) this.#openSparse(member, map.extents);
    else this.#awaitMap(member, map);
  }

  #beginPaxSparse(member: Member, sparse: PaxSparse): void {
    if (sparse.realSize === undefined) throw layerError(`the sparse file ${printable(member.path)} does not say its size`);
    const named = { ...member, size: sparse.realSize, ...(sparse.name === undefined ? {} : { path: sparse.name as ByteString }) };
    if (sparse.mapInData) this.#awaitMap(named, new TextMap());
    else this.#openSparse(named, sparse.extents);
  }

  #awaitMap(member: Member, map: MapReader): void {
    this.#mapped = { member, map };
    this.#state = 'map';
  }

  #takeMap(): void {
    if (this.#mapped === undefined) return;
    const { member, map } = this.#mapped;
    // a map in the data takes its room from it
    if (map instanceof TextMap) member.storedBytes -= BLOCK_BYTES;
    if (member.storedBytes < 0) throw layerError(`the map of the sparse file ${printable(member.path)} is longer than its data`);
    if (!map.push(this.#block)) return;
    this.#mapped = undefined;
    this.#openSparse(member, map.extents);
  }

  #openSparse(member: Member, extents: readonly Extent[]): void {
    const sizes = { realSize: member.size, storedBytes: member.storedBytes };
    this.#open({ ...member, extents: checkedExtents(extents, sizes) });
  }

  #open(member: Member): void {
    this.#state = 'header';
    this.#sink.begin(member);
    if (member.storedBytes > 0) this.#enter('data', member.storedBytes);
    else this.#sink.end();
  }

  #enter(state: 'extended' | 'skipped' | 'data', size: number): void {
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
    const data = this.#extended;
    this.#extended = Buffer.alloc(0);
    if (this.#extendedType === 'x') this.#next = merged(this.#next, parsePax(data));
    else if (this.#extendedType === 'g') this.#applyGlobal(parsePax(data));
    else {
      const end = data.indexOf(0);
      const name = byteString(end < 0 ? data : data.subarray(0, end));
      this.#next = { ...this.#next, ...(this.#extendedType === 'L' ? { path: name } : { linkPath: name }) };
    }
  }

  #applyGlobal(extended: Extended): void {
    if (extended.sparse !== undefined) throw layerError('a PAX header for all members says that they are sparse');
    this.#global = merged(this.#global, extended);
  }
}

/** Attributes add up, within what one header could hold, since headers may follow each other without end; the rest is overridden. */
function merged(first: Extended, second: Extended): Extended {
  if (first.xattrs === undefined || second.xattrs === undefined) return { ...first, ...second };
  const xattrs = new Map([...first.xattrs, ...second.xattrs]);
  const bytes = xattrs.entries().reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (bytes > EXTENDED_LIMIT_BYTES) throw layerError(`the extended attributes of a member are longer than ${EXTENDED_LIMIT_BYTES} bytes`);
  if (xattrs.size > XATTRS_LIMIT) throw tooManyXattrs();
  return { ...first, ...second, xattrs };
}

function resolveMember(header: TarHeader, extended: Extended): Member {
  const path = extended.path ?? header.path;
  const type = typeOf(header, path);
  const size = type === 'file' ? (extended.size ?? header.size) : 0;
  const member = {
    path,
    type,
    linkPath: extended.linkPath ?? header.linkPath,
    mode: header.mode & 0o7777,
    uid: extended.uid ?? header.uid,
    gid: extended.gid ?? header.gid,
    size,
    storedBytes: size,
    mtime: extended.mtime ?? { seconds: header.mtimeSeconds, nanoseconds: 0 },
    deviceMajor: header.deviceMajor,
    deviceMinor: header.deviceMinor,
    xattrs: extended.xattrs ?? NO_XATTRS,
  };
  const owners = member.uid >= 0 && member.uid <= OWNER_LIMIT && member.gid >= 0 && member.gid <= OWNER_LIMIT;
  if (!owners) throw layerError(`the member ${printable(path)} has the owner ${member.uid}:${member.gid}, which no file can have`);
  if (member.deviceMajor > MAJOR_LIMIT || member.deviceMinor > MINOR_LIMIT)
    throw layerError(
      `the member ${printable(path)} has the device number ${member.deviceMajor}:${member.deviceMinor}, which Linux does not have`,
    );
  return member;
}

function typeOf(header: TarHeader, path: string): Member['type'] {
  // v7 has no type for directories: a slash at the end is their mark
  if (header.type === V7 && path.endsWith('/')) return 'directory';
  const type = TYPES[header.type];
  if (type === undefined) throw layerError(`the member ${printable(path)} is of type ${printable(header.type)}, which is not supported`);
  return type;
}
