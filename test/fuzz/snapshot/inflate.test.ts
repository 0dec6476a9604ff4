/**
 * Decompression: what was compressed comes out, in however many members and
 * frames, however cut; what is broken or ends early is an error or the right
 * bytes, and comes to an end. Node's one-shot functions are the oracle.
 */
import assert from 'node:assert/strict';
import { constants, crc32, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import t from 'tap';
import { inflate } from '../../../src/snapshot/inflate.ts';
import { refusal } from '../../fixtures/fuzz/errors.ts';
import { fuzz, property, Random } from '../../fixtures/fuzz.ts';

/** What is read of a stream: a small one can be gigabytes unpacked. */
const OUTPUT_MOST = 4 * 1024 * 1024;
/** Shorter beginnings tell no format. */
const MAGIC_BYTES = 6;

type Outcome = { bytes: Buffer; refused?: undefined } | { refused: string; bytes?: undefined };

/** A source that can be read either way. */
function sourceOf(pieces: readonly Buffer[]): Iterable<Buffer> & AsyncIterable<Buffer> {
  return {
    *[Symbol.iterator]() {
      yield* pieces;
    },
    async *[Symbol.asyncIterator]() {
      yield* pieces;
    },
  };
}

async function inflated(pieces: readonly Buffer[]): Promise<Outcome> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of inflate(sourceOf(pieces))) {
      chunks.push(Buffer.from(chunk));
      length += chunk.length;
      if (length > OUTPUT_MOST) break;
    }
  } catch (error) {
    return { refused: refusal(error, 'unknown', 'IMAGE_LAYER') };
  }
  return { bytes: Buffer.concat(chunks).subarray(0, OUTPUT_MOST) };
}

/** Some bytes, some of which repeat. */
function payload(random: Random): Buffer {
  const part = (): Buffer =>
    random.pick([
      () => random.bytes(random.below(300)),
      () => Buffer.alloc(random.below(3000), random.below(256)),
      () => Buffer.from('tar '.repeat(random.below(200))),
    ])();
  return Buffer.concat(random.list(0, 4, part));
}

/** RFC 1952: the optional fields that a header may have. */
function gzipMember(random: Random, data: Buffer): Buffer {
  const plain = gzipSync(data, { level: random.between(0, 9) });
  const [text, hcrc, extra, name, comment] = [random.once(8), random.once(4), random.once(4), random.once(3), random.once(4)];
  const flags = Number(text) | (Number(hcrc) << 1) | (Number(extra) << 2) | (Number(name) << 3) | (Number(comment) << 4);
  const head = Buffer.from(plain.subarray(0, 10));
  head[3] = flags;
  const field = Buffer.from([4, 0, 65, 66, 0, 0]);
  const fields = [
    head,
    ...(extra ? [field] : []),
    ...(name ? [Buffer.from('layer.tar\0')] : []),
    ...(comment ? [Buffer.from('\u00e9\0', 'latin1')] : []),
  ];
  const header = Buffer.concat(fields);
  const sum = Buffer.alloc(2);
  sum.writeUInt16LE(crc32(header) & 0xffff);
  return Buffer.concat([header, ...(hcrc ? [sum] : []), plain.subarray(10)]);
}

function zstdFrame(random: Random, data: Buffer): Buffer {
  const { ZSTD_c_checksumFlag, ZSTD_c_compressionLevel, ZSTD_c_contentSizeFlag } = constants;
  const params = {
    [ZSTD_c_checksumFlag]: random.below(2),
    [ZSTD_c_contentSizeFlag]: random.below(2),
    [ZSTD_c_compressionLevel]: random.between(1, 5),
  };
  return zstdCompressSync(data, { params });
}

/** RFC 8878 3.1.2: a frame that says nothing. */
function skippable(random: Random): Buffer {
  const content = random.bytes(random.below(40));
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x184d2a50 + random.below(16));
  head.writeUInt32LE(content.length, 4);
  return Buffer.concat([head, content]);
}

interface Stream {
  /** Each with what it holds. */
  members: { bytes: Buffer; data: Buffer }[];
  padding: Buffer;
}

function stream(random: Random): Stream {
  const isGzip = random.once(2);
  const members = random.list(1, 4, () => {
    const data = payload(random);
    return { data, bytes: isGzip ? gzipMember(random, data) : zstdFrame(random, data) };
  });
  if (!isGzip && random.once(3)) members.splice(random.below(members.length + 1), 0, { data: Buffer.alloc(0), bytes: skippable(random) });
  return { members, padding: Buffer.alloc(isGzip && random.once(4) ? random.below(2000) : 0) };
}

const bytesOf = ({ members, padding }: Stream): Buffer => Buffer.concat([...members.map(({ bytes }) => bytes), padding]);

t.test('what was compressed comes out, however it is put together and cut', async (t) => {
  await property(t, {
    name: 'members',
    inputs: 3000,
    generate: (random) => ({ made: stream(random), random }),
    async check({ made, random }) {
      const wanted = Buffer.concat(made.members.map(({ data }) => data));
      const got = await inflated(random.pieces(bytesOf(made), random.pick([3, 50, 5000])));
      assert.equal(got.refused, undefined);
      assert(wanted.equals(got.bytes ?? Buffer.alloc(0)), `${got.bytes?.length} bytes for ${wanted.length}`);
    },
  });
});

t.test('a stream that ends early is refused, unless it ends between members', async (t) => {
  await property(t, {
    name: 'cut off',
    inputs: 3000,
    generate(random) {
      const made = stream(random);
      return { made, random, cut: random.below(bytesOf(made).length) };
    },
    async check({ made, random, cut }) {
      if (cut < MAGIC_BYTES) return; // is no compressed stream to anyone
      const got = await inflated(random.pieces(bytesOf(made).subarray(0, cut), random.pick([7, 50, 5000])));
      let [at, data, isFirst] = [0, Buffer.alloc(0), true];
      for (const member of made.members) {
        if (at === cut) break;
        // Node overlooks up to three bytes of a next frame
        if (isZstd(member.bytes) && !isFirst && cut - at <= 3) return;
        at += member.bytes.length;
        data = Buffer.concat([data, member.data]);
        isFirst = false;
      }
      if (at <= cut) assert(got.bytes !== undefined && data.equals(got.bytes), got.refused ?? 'other bytes');
      else assert.match(got.refused ?? `${got.bytes?.length} bytes of ${data.length}`, /^IMAGE_LAYER/);
    },
  });
});

const isZstd = (bytes: Buffer): boolean => bytes.readUInt16BE(0) !== 0x1f8b;

function oracle(input: Buffer): Buffer | undefined {
  try {
    return input.readUInt16BE(0) === 0x1f8b
      ? gunzipSync(input, { maxOutputLength: OUTPUT_MOST })
      : zstdDecompressSync(input, { maxOutputLength: OUTPUT_MOST });
  } catch {
    return undefined;
  }
}

const isCompressed = (input: Buffer): boolean => {
  if (input.length < MAGIC_BYTES) return false;
  const magic = input.readUInt32LE(0);
  return input.readUInt16BE(0) === 0x1f8b || magic === 0xfd2fb528 || (magic & 0xfffffff0) >>> 0 === 0x184d2a50;
};

t.test('broken streams', async (t) => {
  const random = new Random(9);
  await fuzz(t, {
    name: 'inflate',
    seeds: ['', 'plain', ...random.list(8, 8, () => bytesOf(stream(random)))],
    dictionary: ['\x1f\x8b\x08', '\x28\xb5\x2f\xfd', '\x50\x2a\x4d\x18', '\0\0\xff\xff', '\xff\xff\xff\xff', 'BZh9', '\xfd7zXZ\0'],
    generate: (from) => bytesOf(stream(from)),
    maxBytes: 4000,
    inputs: 4000,
    async check(input, from) {
      const whole = await inflated([input]);
      const cut = await inflated(from.pieces(input, from.pick([2, 20, 500])));
      // libzstd compares some sizes with the header's only when it has the whole frame at once
      if (!isCompressed(input) || !isZstd(input)) assert.equal(cut.refused, whole.refused, 'refused or not, depending on the cut');
      if (whole.bytes === undefined) return whole.refused;
      assert(cut.bytes === undefined || whole.bytes.equals(cut.bytes), 'other bytes when cut');
      if (!isCompressed(input)) {
        assert(whole.bytes.equals(input), 'what is not compressed stays as it is');
        return 'plain';
      }
      const wanted = oracle(input);
      if (wanted === undefined) assert.equal(whole.bytes.length, OUTPUT_MOST, 'Node refuses it');
      else assert(whole.bytes.equals(wanted), `${whole.bytes.length} bytes, of Node ${wanted.length}`);
      return `${input[0]} ${whole.bytes.length === 0}`;
    },
  });
});
