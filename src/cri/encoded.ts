/**
 * Encoded messages kept per record. Records of the domain are immutable
 * values: a change makes a new object, so an object's identity is its version
 * and bytes encoded from it never go stale. A list is then a concatenation,
 * and kubelet's relist every second costs no encoding.
 */
import { Writer } from 'protobufjs/minimal.js';

/** protobuf encoding.html: wire type of embedded messages. */
const LENGTH_DELIMITED = 2;

/** Bytes of one batch of a streamed list: far below the message limit, large enough that framing does not matter. */
const BATCH_BYTES = 256 * 1024;

/** `bytes` as the embedded message `field` of another. */
export function embedded(field: number, bytes: Uint8Array): Uint8Array {
  return Writer.create()
    .uint32((field << 3) | LENGTH_DELIMITED)
    .bytes(bytes)
    .finish();
}

/** One function of a record to bytes, remembered for as long as the record lives. */
export class EncodedOnce<T extends object> {
  readonly #bytes = new WeakMap<T, Uint8Array>();
  readonly #encode: (record: T) => Uint8Array;

  constructor(encode: (record: T) => Uint8Array) {
    this.#encode = encode;
  }

  of(record: T): Uint8Array {
    let bytes = this.#bytes.get(record);
    if (bytes === undefined) {
      bytes = this.#encode(record);
      this.#bytes.set(record, bytes);
    }
    return bytes;
  }
}

/** A response that consists of the repeated field 1 and nothing else, as all lists of the CRI do. */
export class EncodedList<T extends object> {
  readonly #items: EncodedOnce<T>;

  /** `encode` gives the bytes of one item. */
  constructor(encode: (record: T) => Uint8Array) {
    this.#items = new EncodedOnce((record) => embedded(1, encode(record)));
  }

  /** The whole list in one response. */
  response(records: readonly T[]): Uint8Array {
    return Buffer.concat(records.map((record) => this.#items.of(record)));
  }

  /** The list in responses of at least one item each; none when it is empty. */
  async *responses(records: readonly T[]): AsyncGenerator<Uint8Array> {
    let batch: Uint8Array[] = [];
    let bytes = 0;
    for (const record of records) {
      const item = this.#items.of(record);
      batch.push(item);
      bytes += item.byteLength;
      if (bytes < BATCH_BYTES) continue;
      yield Buffer.concat(batch);
      batch = [];
      bytes = 0;
    }
    if (batch.length > 0) yield Buffer.concat(batch);
  }
}
