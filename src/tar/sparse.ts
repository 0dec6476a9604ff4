/**
 * Maps of sparse files: which parts of a file the archive holds, everything
 * else being holes. Pure. Four ways to write one exist: GNU's own header with
 * extension blocks, and PAX 0.0, 0.1 (records) and 1.0 (text before the
 * data). Source: GNU tar manual "Storing Sparse Files". Invariant: extents
 * handed out ascend, do not overlap, lie within the file and hold exactly the
 * bytes that the member has.
 */
import { layerError, printable } from './bytes.ts';
import { BLOCK_BYTES, fieldNumber } from './fields.ts';

/** A part of a file that is not a hole. */
export interface Extent {
  offset: number;
  length: number;
}

/** Parts one file may have: each costs memory here, and a system call later. */
const EXTENTS_LIMIT = 65_536;
/** Digits of a number in a map: a file is below 2^53 bytes. */
const DIGITS_LIMIT = 16;
/** Old GNU: offset and length, 12 bytes each; four in the header, 21 in an extension block, then a flag. */
const ENTRY_BYTES = 24;
const HEADER_ENTRIES = { at: 386, count: 4, flagAt: 482, sizeAt: 483 };
const BLOCK_ENTRIES = { at: 0, count: 21, flagAt: 504 };
const NEWLINE = 0x0a;

/** Collects a map that comes in blocks of 512 bytes; `complete` says when the data begins. */
export interface MapReader {
  /** Takes one block; true when it was the last. Throws IMAGE_LAYER. */
  push(block: Buffer): boolean;
  readonly extents: readonly Extent[];
}

/** The map of a GNU header of type S: extension blocks follow while `push` answers false. */
export class GnuMap implements MapReader {
  readonly extents: Extent[] = [];
  /** Bytes of the file with its holes. */
  readonly realSize: number;
  /** Nothing but the header is needed. */
  readonly complete: boolean;

  constructor(header: Buffer) {
    this.realSize = fieldNumber(header, HEADER_ENTRIES.sizeAt, 12);
    this.complete = this.#take(header, HEADER_ENTRIES);
  }

  push(block: Buffer): boolean {
    return this.#take(block, BLOCK_ENTRIES);
  }

  #take(block: Buffer, { at, count, flagAt }: { at: number; count: number; flagAt: number }): boolean {
    for (let entry = at; entry < at + count * ENTRY_BYTES; entry += ENTRY_BYTES) {
      // an entry of zeros ends the list
      if (block[entry] === 0 && block[entry + 12] === 0) break;
      add(this.extents, { offset: fieldNumber(block, entry, 12), length: fieldNumber(block, entry + 12, 12) });
    }
    return (block[flagAt] ?? 0) === 0;
  }
}

/** PAX 1.0: decimal numbers, a line each (the count, then offset and length of each part), padded to whole blocks. */
export class TextMap implements MapReader {
  readonly extents: Extent[] = [];
  #count: number | undefined;
  #offset: number | undefined;
  #digits = '';

  push(block: Buffer): boolean {
    for (let at = 0; at < BLOCK_BYTES && !this.#done(); at += 1) {
      const byte = block[at] ?? 0;
      if (byte !== NEWLINE) this.#digits += String.fromCharCode(byte);
      else this.#number(decimal(this.#digits));
      if (this.#digits.length > DIGITS_LIMIT) throw malformed('a number in it is too long');
    }
    return this.#done();
  }

  #done(): boolean {
    return this.#count === this.extents.length;
  }

  #number(value: number): void {
    this.#digits = '';
    if (this.#count === undefined) {
      if (value > EXTENTS_LIMIT) throw tooMany();
      this.#count = value;
    } else if (this.#offset === undefined) this.#offset = value;
    else {
      add(this.extents, { offset: this.#offset, length: value });
      this.#offset = undefined;
    }
  }
}

/** What PAX records say of a sparse file; the keys are those after `GNU.sparse.`. */
export class PaxSparse {
  name: string | undefined;
  /** Bytes of the file with its holes: `realsize`, `size` in the older two. */
  realSize: number | undefined;
  /** 1.0: the map stands before the data. */
  mapInData = false;
  readonly extents: Extent[] = [];
  #major = '0';
  #minor = '0';
  #offset: number | undefined;

  /** Takes a record. Throws IMAGE_LAYER. */
  set(key: string, value: string): void {
    if (key === 'major') this.#major = value;
    else if (key === 'minor') this.#minor = value;
    else if (key === 'name') this.name = value;
    else if (key === 'realsize' || key === 'size') this.realSize = decimal(value);
    else if (key === 'offset') this.#offset = decimal(value);
    else if (key === 'numbytes') this.#length(decimal(value));
    else if (key === 'map') this.#map(value);
    // `numblocks` says only how many parts follow
    if (this.#major !== '0' && this.#major !== '1') throw malformed(`its version ${printable(this.#major)} is not known`);
    this.mapInData = this.#major === '1';
    if (this.mapInData && this.#minor !== '0') throw malformed(`its version 1.${printable(this.#minor)} is not known`);
  }

  #length(length: number): void {
    if (this.#offset === undefined) throw malformed('a length in it has no offset');
    add(this.extents, { offset: this.#offset, length });
    this.#offset = undefined;
  }

  #map(text: string): void {
    const numbers = text === '' ? [] : text.split(',', 2 * EXTENTS_LIMIT + 1);
    if (numbers.length > 2 * EXTENTS_LIMIT) throw tooMany();
    if (numbers.length % 2 !== 0) throw malformed('a part of it has no length');
    this.extents.length = 0;
    for (let at = 0; at < numbers.length; at += 2) {
      add(this.extents, { offset: decimal(numbers[at] ?? ''), length: decimal(numbers[at + 1] ?? '') });
    }
  }
}

/** The parts that hold bytes, once they are proved to be what the invariant says. Throws IMAGE_LAYER. */
export function checkedExtents(extents: readonly Extent[], sizes: { realSize: number; storedBytes: number }): Extent[] {
  let end = 0;
  let stored = 0;
  for (const { offset, length } of extents) {
    if (offset < end) throw malformed('its parts overlap or do not ascend');
    end = offset + length;
    stored += length;
    if (end > sizes.realSize) throw malformed(`a part ends at ${end}, beyond the file’s ${sizes.realSize} bytes`);
  }
  if (stored !== sizes.storedBytes) throw malformed(`its parts have ${stored} bytes, the archive ${sizes.storedBytes}`);
  return extents.filter(({ length }) => length > 0);
}

function add(extents: Extent[], extent: Extent): void {
  if (extent.offset < 0 || extent.length < 0) throw malformed('a number in it is negative');
  if (extents.length >= EXTENTS_LIMIT) throw tooMany();
  extents.push(extent);
}

function decimal(text: string): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw malformed(`${printable(text)} in it is not a number`);
  return value;
}

const malformed = (why: string) => layerError(`the map of a sparse file is malformed: ${why}`);
const tooMany = () => layerError(`a sparse file has more than ${EXTENTS_LIMIT} parts`);
