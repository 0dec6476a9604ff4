/**
 * Every 64-bit field of every message, both protos, carries every value
 * exactly: protobufjs encodes a bigint as 0 without an error, and a number
 * loses nanoseconds.
 */
import { join } from 'node:path';
import Long from 'long';
import protobuf from 'protobufjs';
import t from 'tap';
import { fromLong, toInt64, toUint64 } from '../../../src/cri/int64.ts';
import { cri, type Message, operator } from '../../../src/gen/index.ts';

const SIGNED = [
  0n,
  1n,
  -1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  -(2n ** 53n) - 1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  1_788_000_000_123_456_789n,
];
const UNSIGNED = [0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n - 1n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];
const root = join(import.meta.dirname, '../../..');

type Codecs = Record<string, Message<Record<string, unknown>, Record<string, Long | Long[]>>>;

for (const [file, packageName, codecs] of [
  ['proto/cri/v1/api.proto', 'runtime.v1', cri],
  ['proto/berth/v1/operator.proto', 'berth.v1', operator],
] as const) {
  t.test(file, async (t) => {
    const namespace = protobuf.loadSync(join(root, file)).resolveAll().lookup(packageName) as protobuf.Namespace;
    let fields = 0;
    for (const type of namespace.nestedArray) {
      if (!(type instanceof protobuf.Type)) continue;
      const codec = (codecs as unknown as Codecs)[type.name]!;
      for (const field of type.fieldsArray.filter((one) => /^(u|s)?(int|fixed)64$/.test(one.type))) {
        fields += 1;
        const unsigned = field.type === 'uint64';
        for (const value of unsigned ? UNSIGNED : SIGNED) {
          const long = unsigned ? toUint64(value) : toInt64(value);
          const decoded = codec.decode(codec.encode({ [field.name]: field.repeated ? [long] : long }).finish())[field.name]!;
          const back = fromLong(Array.isArray(decoded) ? decoded[0]! : decoded);
          if (back !== value) t.fail(`${type.name}.${field.name}: ${value} came back as ${back}`);
        }
        const absent = codec.decode(new Uint8Array())[field.name]!;
        if (!field.repeated && fromLong(absent as Long) !== 0n) t.fail(`${type.name}.${field.name}: absent is not 0`);
      }
    }
    t.equal(fields, packageName === 'runtime.v1' ? 46 : 20, 'every 64-bit field was walked');
  });
}

t.test('what does not fit is refused, not wrapped', async (t) => {
  t.throws(() => toInt64(2n ** 63n), RangeError);
  t.throws(() => toInt64(-(2n ** 63n) - 1n), RangeError);
  t.throws(() => toUint64(-1n), RangeError);
  t.throws(() => toUint64(2n ** 64n), RangeError);
});

t.test('random values', async (t) => {
  const wrong: bigint[] = [];
  for (let round = 0; round < 2000; round += 1) {
    const raw = crypto.getRandomValues(new BigUint64Array(1))[0]!;
    const signed = BigInt.asIntN(64, raw);
    const kept = fromLong(toUint64(raw)) === raw && fromLong(toInt64(signed)) === signed;
    if (!kept || fromLong(Long.fromString(raw.toString(), true)) !== raw) wrong.push(raw);
  }
  t.same(wrong, []);
});
