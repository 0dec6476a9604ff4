/** Pins how Node's zlib handles behave when driven directly, which nothing documents. */
import { gzipSync, zstdCompressSync } from 'node:zlib';
import t from 'tap';
import { inflate } from '../../../src/snapshot/inflate.ts';

const DATA = Buffer.concat([Buffer.from('line of text\n'.repeat(70_000)), Buffer.alloc(300_000), Buffer.from('end')]);
const SKIPPABLE = Buffer.from('502a4d1805000000abcdefabcd', 'hex');
const refused = (message: RegExp) => ({ name: 'RuntimeError', reason: 'IMAGE_LAYER', message });

function* pieces(blob: Buffer, step: number): Generator<Buffer> {
  // one buffer for all, as the reader of a growing file has it
  const buffer = Buffer.alloc(step);
  for (let at = 0; at < blob.length; at += step) yield buffer.subarray(0, blob.copy(buffer, 0, at, at + step));
}

function inflated(blob: Buffer, step = Math.max(1, blob.length)): Buffer {
  const chunks: Buffer[] = [];
  for (const chunk of inflate(pieces(blob, step))) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Steps that cut a blob within headers, trailers and between members. */
const steps = (blob: Buffer, member: Buffer): number[] => [blob.length, member.length, member.length - 1, member.length + 1, 4093, 97];

const FORMATS = { gzip: gzipSync, zstd: (data: Buffer) => zstdCompressSync(data) };

for (const [format, compress] of Object.entries(FORMATS)) {
  const whole = compress(DATA);
  const [head, rest] = [compress(DATA.subarray(0, 500_000)), compress(DATA.subarray(500_000))];

  t.test(`${format}: one stream, however it is made up and cut`, async (t) => {
    const table: Record<string, Buffer> = {
      'one member': whole,
      'two members': Buffer.concat([head, rest]),
      'an empty member first': Buffer.concat([compress(Buffer.alloc(0)), whole]),
      'an empty member last': Buffer.concat([whole, compress(Buffer.alloc(0))]),
      'padding of zeros': Buffer.concat([whole, Buffer.alloc(600_000)]),
      'a single zero': Buffer.concat([whole, Buffer.alloc(1)]),
      ...(format === 'zstd' ? { 'skippable frames': Buffer.concat([SKIPPABLE, head, SKIPPABLE, rest, SKIPPABLE]) } : {}),
    };
    for (const [what, blob] of Object.entries(table)) {
      for (const step of steps(blob, what === 'one member' ? whole : head))
        t.ok(inflated(blob, step).equals(DATA), `${what}, ${step} bytes at a time`);
    }
    t.equal(inflated(compress(Buffer.alloc(0))).length, 0, 'nothing');
  });

  t.test(`${format}: a stream that ends early is refused`, async (t) => {
    for (const missing of [1, 4, 8, 9, 100, whole.length - 6])
      for (const step of [whole.length, 97])
        t.throws(
          () => inflated(whole.subarray(0, -missing), step),
          refused(/its compression is broken/),
          `${missing} bytes are missing, ${step}`,
        );
    const second = Buffer.concat([whole, rest]);
    for (const missing of [1, rest.length - 5]) {
      t.throws(
        () => inflated(second.subarray(0, -missing)),
        refused(/its compression is broken/),
        `${missing} bytes of the second member are missing`,
      );
      t.throws(() => inflated(second.subarray(0, -missing), whole.length), refused(/its compression is broken/), 'cut between the members');
    }
  });

  t.test(`${format}: damage and what does not belong there are refused`, async (t) => {
    const flipped = Buffer.from(whole);
    for (const at of [20, whole.length >> 1]) flipped.writeUInt8((flipped[at] ?? 0) ^ 0xff, at);
    t.throws(() => inflated(flipped), refused(/its compression is broken/));
    for (const behind of ['garbage', 'g', '\0\0garbage'])
      for (const step of steps(whole, whole))
        t.throws(
          () => inflated(Buffer.concat([whole, Buffer.from(behind)]), step),
          refused(/compress/),
          `${JSON.stringify(behind)}, ${step}`,
        );
    const afterPadding = Buffer.concat([head, Buffer.alloc(512), rest]);
    for (const step of steps(afterPadding, head))
      t.throws(() => inflated(afterPadding, step), refused(/compress/), 'a member behind padding');
    t.ok(inflated(whole).equals(DATA), 'a failure leaves nothing behind');
  });
}

t.test('a wrong checksum is refused', async (t) => {
  const gzip = gzipSync(DATA);
  gzip.writeUInt8((gzip[gzip.length - 6] ?? 0) ^ 1, gzip.length - 6);
  t.throws(() => inflated(gzip), refused(/incorrect data check/));
});

t.test('what is not compressed passes as it is', async (t) => {
  for (const blob of [Buffer.alloc(0), Buffer.from('abc'), DATA])
    for (const step of [1000, blob.length + 1]) t.ok(inflated(blob, step).equals(blob));
});

t.test('other compressions are refused by name', async (t) => {
  const table: Record<string, string> = {
    xz: 'fd377a585a000004',
    bzip2: '425a6839314159',
    lz4: '04224d18644070',
    lzip: '4c5a495001',
    'compress (.Z)': '1f9d9000',
    zip: '504b03041400',
  };
  for (const [name, hex] of Object.entries(table))
    t.throws(() => inflated(Buffer.from(hex, 'hex')), { ...refused(/build it with gzip or zstd/), message: new RegExp(name.slice(0, 4)) });
});

t.test('a zstd window is bounded', async (t) => {
  // RFC 8878 3.1.1.1.2: a frame that gives a window descriptor (exponent << 3), then one raw block of 3 bytes, the last
  const frame = (windowLog: number): Buffer =>
    Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (windowLog - 10) << 3]), Buffer.from([0x19, 0, 0]), Buffer.from('abc')]);
  t.equal(inflated(frame(27)).toString(), 'abc', '128 MiB');
  t.throws(() => inflated(frame(28)), refused(/window of more than 128 MiB.*--long=28/));
  t.throws(() => inflated(frame(41)), refused(/window/));
});

t.test('a source that fails is not taken for broken compression, and is closed when the reader stops', async (t) => {
  let closed = 0;
  function* failing(fails: boolean): Generator<Buffer> {
    try {
      yield gzipSync(DATA).subarray(0, 1000);
      if (fails) throw new Error('the disk is gone');
      yield Buffer.from('never asked for');
    } finally {
      closed += 1;
    }
  }
  t.throws(() => [...inflate(failing(true))], { message: 'the disk is gone' });
  for (const _ of inflate(failing(false))) break;
  t.equal(closed, 2);
});
