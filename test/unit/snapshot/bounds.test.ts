import t from 'tap';
import { UNPACK_LIMITS, UnpackBudget } from '../../../src/snapshot/bounds.ts';
import type { Member } from '../../../src/tar/index.ts';

const GIB = 2 ** 30;
const refused = (message: RegExp) => ({ name: 'RuntimeError', reason: 'IMAGE_LAYER', message });
const file = (storedBytes: number): Member => ({ path: 'big', storedBytes }) as Member;

/** A budget of which `bytes` of the blob were read. */
function budget(bytes: number, limits = UNPACK_LIMITS): UnpackBudget {
  const fresh = new UnpackBudget(limits);
  for (const _ of fresh.counted([{ length: bytes } as Buffer]));
  return fresh;
}

t.test('a bomb is stopped at its ratio, an ordinary layer is not', async (t) => {
  const bomb = budget(1e6);
  bomb.produced(4 * GIB);
  bomb.produced(200e6);
  t.throws(() => bomb.produced(1), refused(/more than 4294967296 bytes and 200 times its compressed size/));
  const ordinary = budget(10 * GIB);
  for (let gib = 0; gib < 100; gib += 1) ordinary.produced(GIB);
  t.pass('ten times is not a bomb');
});

t.test('no layer is endless', async (t) => {
  const layer = budget(600 * GIB);
  layer.produced(512 * GIB);
  t.throws(() => layer.produced(1), refused(/more than 549755813888 bytes/));
});

t.test('a claim is refused before its data, once the blob is known to be too small for it', async (t) => {
  const claim = budget(1e6);
  claim.produced(1024);
  claim.begin(file(5 * GIB), undefined);
  claim.begin(file(4 * GIB), 1e6);
  t.throws(() => claim.begin(file(5 * GIB), 1e6), refused(/"big", which claims 5368709120 bytes/));
  t.throws(() => claim.begin(file(600 * GIB), undefined), refused(/more than 549755813888 bytes/), 'whatever the blob’s size');
});

t.test('members are counted', async (t) => {
  const few = budget(1, { ...UNPACK_LIMITS, members: 2 });
  few.begin(file(0), 1);
  few.begin(file(0), 1);
  t.throws(() => few.begin(file(0), 1), refused(/more than 2 members/));
});
