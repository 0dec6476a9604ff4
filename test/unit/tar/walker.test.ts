import t from 'tap';
import { buildTar, type TarEntry } from '../../../hack/lib/tar.ts';
import { type Member, TarWalker } from '../../../src/tar/index.ts';
import { gnuSparse, paxMember, paxRecord, paxSparse, rawHeader, rawMember, rawTar } from '../../fixtures/raw-tar.ts';

interface Seen {
  member: Member;
  data: string;
  ended: boolean;
}

/** Walks `tar` in pieces of `step` bytes. */
function walk(tar: Buffer, step = Math.max(1, tar.length)): Seen[] {
  const seen: Seen[] = [];
  const walker = new TarWalker({
    begin(member) {
      seen.push({ member, data: '', ended: false });
    },
    data(chunk) {
      seen.at(-1)!.data += chunk.toString('latin1');
    },
    end() {
      seen.at(-1)!.ended = true;
    },
  });
  for (let at = 0; at < tar.length; at += step) walker.push(tar.subarray(at, at + step));
  walker.finish();
  return seen;
}

const first = (tar: Buffer): Member => walk(tar)[0]!.member;
const refused = { name: 'RuntimeError', reason: 'IMAGE_LAYER' };

const ENTRIES: TarEntry[] = [
  { path: 'a', content: 'x'.repeat(511) },
  { path: 'b', content: 'y'.repeat(512) },
  { path: 'c', content: '' },
  { path: `${'long/'.repeat(60)}end`, content: 'z'.repeat(1025), mtime: 12.5, xattrs: { 'user.k': 'v\0w' } },
  { path: 'l', type: 'symlink', target: 't'.repeat(300) },
  { path: 'd/', type: 'directory', mode: 0o1777, uid: 1000, gid: 2000 },
];

t.test('a stream is walked alike however it is cut', async (t) => {
  const sparse = gnuSparse(
    { name: 'sparse' },
    9000,
    Array.from({ length: 30 }, (_, at) => [at * 300, 7]),
    'g'.repeat(210),
  );
  const tar = Buffer.concat([buildTar(ENTRIES).subarray(0, -1024), sparse, paxSparse('pax', 5000, [[1000, 3]], 'abc'), Buffer.alloc(1024)]);
  const whole = walk(tar);
  t.same(
    whole.map(({ member, data, ended }) => [member.path.length, member.type, data.length, ended]),
    [
      [1, 'file', 511, true],
      [1, 'file', 512, true],
      [1, 'file', 0, true],
      [303, 'file', 1025, true],
      [1, 'symlink', 0, true],
      [2, 'directory', 0, true],
      [6, 'file', 210, true],
      [3, 'file', 3, true],
    ],
  );
  t.match(whole[3]!.member, { mtime: { seconds: 12, nanoseconds: 500_000_000 }, size: 1025 });
  t.equal(whole[3]!.member.xattrs.get('user.k')?.toString(), 'v\0w');
  t.equal(whole[4]!.member.linkPath.length, 300);
  t.match(whole[5]!.member, { mode: 0o1777, uid: 1000, gid: 2000 });
  for (const step of [1, 7, 511, 512, 513, 1000]) t.same(walk(tar, step), whole, `${step} bytes at a time`);
});

t.test('every dialect says the same', async (t) => {
  const long = 'g'.repeat(200);
  const longName = Buffer.concat([
    rawMember({ name: '././@LongLink', type: 'L', magic: 'gnu' }, `${long}\0`),
    rawMember({ name: 'short' }, 'c'),
  ]);
  t.equal(first(rawTar(longName)).path, long, 'GNU long name');
  const longLink = Buffer.concat([rawMember({ type: 'K', magic: 'gnu' }, `${long}\0`), rawHeader({ type: '2', link: 'short' })]);
  t.equal(first(rawTar(longLink)).linkPath, long, 'GNU long link');
  t.equal(first(rawTar(rawHeader({ name: 'old/', type: '\0', magic: 'v7' }))).type, 'directory', 'v7 directory');
  const v7 = walk(rawTar(rawMember({ name: 'old/', type: '\0', magic: 'v7' }, 'data of nobody'), rawMember({ name: 'next' }, 'n')));
  t.match(v7, [{ data: '', member: { type: 'directory' } }, { data: 'n' }], 'a v7 directory with data');
  t.equal(first(rawTar(rawHeader({ name: 'name/', type: '0' }))).type, 'file', 'only v7 marks directories by a slash');
  t.equal(first(rawTar(rawHeader({ name: 'name', prefix: 'pre/fix' }))).path, 'pre/fix/name', 'ustar prefix');
  t.equal(first(rawTar(rawHeader({ name: 'name', prefix: 'pre/fix', magic: 'gnu' }))).path, 'name', 'GNU has no prefix');
  const star = rawHeader({ name: 'name', prefix: 'p'.repeat(131), patch: { 476: '00000000001 00000000002 ', 508: 'tar\0' } });
  t.equal(first(rawTar(star)).path, `${'p'.repeat(131)}/name`, 'star has times behind a shorter prefix');
  t.match(first(rawTar(rawHeader({ type: '7' }))), { type: 'file' }, 'contiguous');
  t.match(
    walk(rawTar(rawMember({ type: 'V', name: 'label' }, 'xx'), rawHeader({ name: 'after' }))),
    [{ member: { path: 'after' } }],
    'volume label',
  );
  const device = { type: '3', device: [1, 3] as [number, number] };
  t.match(first(rawTar(rawHeader(device))), { type: 'char', deviceMajor: 1, deviceMinor: 3 });
  t.match(first(rawTar(rawHeader({ ...device, magic: 'v7' }))), { deviceMajor: 0 }, 'v7 has no device numbers');
});

t.test('numbers are octal with any padding, or base 256', async (t) => {
  const uid = (bytes: Buffer | string): number => first(rawTar(rawHeader({ uid: Buffer.from(bytes as string, 'latin1') }))).uid;
  for (const [field, value] of Object.entries({
    '0000123\0': 83,
    '    123\0': 83,
    '123    ': 83,
    '123 \0\0\0\0': 83,
    '00000123': 83,
    '\0\0\0\0': 0,
    '': 0,
  }))
    t.equal(uid(field), value, JSON.stringify(field));
  t.equal(uid(Buffer.from('80000000fffffffe', 'hex')), 0xfffffffe);
  const mtime = (bytes: Buffer): number => first(rawTar(rawHeader({ mtime: bytes }))).mtime.seconds;
  t.equal(mtime(Buffer.alloc(12, 0xff)), -1);
  t.equal(mtime(Buffer.from('8000000000000000ffffffff', 'hex')), 0xffffffff);
  t.equal(mtime(Buffer.from('77777777777 ', 'latin1')), 0o77777777777);
  t.equal(first(rawTar(rawHeader({ size: Buffer.from('8000000000000000000000 00'.replace(' ', ''), 'hex'), name: 'z' }))).size, 0);
});

t.test('extended headers override, add up, and are taken back', async (t) => {
  const seen = walk(
    rawTar(
      paxMember(
        [
          ['uid', '7'],
          ['SCHILY.xattr.user.a', 'global'],
        ],
        'g',
      ),
      rawHeader({ name: 'one' }),
      paxMember([
        ['uid', '8'],
        ['SCHILY.xattr.user.b', 'local'],
        ['mtime', '1.5'],
        ['hdrcharset', 'BINARY'],
        ['comment', 'x'],
      ]),
      rawHeader({ name: 'two' }),
      paxMember([['uid', '']]),
      rawHeader({ name: 'three', uid: 9 }),
      rawHeader({ name: 'four', uid: 9 }),
    ),
  ).map(({ member }) => [member.path, member.uid, [...member.xattrs.keys()].join(), member.mtime.nanoseconds]);
  t.same(seen, [
    ['one', 7, 'user.a', 0],
    ['two', 8, 'user.a,user.b', 500_000_000],
    ['three', 9, 'user.a', 0],
    ['four', 7, 'user.a', 0],
  ]);
  const both = Buffer.concat([rawMember({ type: 'L' }, 'gnu\0'), paxMember([['path', 'pax']]), rawHeader({ name: 'own' })]);
  t.equal(first(rawTar(both)).path, 'pax', 'the last word counts');
});

t.test('maps of sparse files are read in all four forms', async (t) => {
  const extents = [
    { offset: 100, length: 2 },
    { offset: 4096, length: 1 },
  ];
  const entries: [number, number][] = [
    [100, 2],
    [4096, 1],
    [10_000, 0],
  ];
  const map = (records: [string, string][]): Buffer =>
    rawTar(Buffer.concat([paxMember(records), rawMember({ name: 'GNUSparseFile.1/n' }, 'abc')]));
  const forms: Record<string, Buffer> = {
    gnu: rawTar(gnuSparse({ name: 'n' }, 10_000, entries, 'abc')),
    'pax 0.0': map([
      ['GNU.sparse.size', '10000'],
      ['GNU.sparse.numblocks', '3'],
      ...entries.flatMap(([offset, length]): [string, string][] => [
        ['GNU.sparse.offset', `${offset}`],
        ['GNU.sparse.numbytes', `${length}`],
      ]),
      ['path', 'n'],
    ]),
    'pax 0.1': map([
      ['GNU.sparse.size', '10000'],
      ['GNU.sparse.name', 'n'],
      ['GNU.sparse.map', entries.flat().join(',')],
    ]),
    'pax 1.0': rawTar(paxSparse('n', 10_000, entries, 'abc')),
  };
  for (const [what, tar] of Object.entries(forms))
    t.match(walk(tar), [{ data: 'abc', member: { path: 'n', size: 10_000, storedBytes: 3, extents } }], what);
  t.match(walk(rawTar(gnuSparse({}, 5, [], ''))), [{ member: { size: 5, extents: [] } }], 'nothing but a hole');
  t.match(walk(rawTar(paxSparse('n', 5, [], ''))), [{ member: { size: 5, extents: [] } }], 'the same in PAX 1.0');
  const many: [number, number][] = Array.from({ length: 500 }, (_, at) => [at * 1000, 1]);
  for (const [what, member] of Object.entries({
    gnu: gnuSparse({}, 1e6, many, 'x'.repeat(500)),
    pax: paxSparse('n', 1e6, many, 'x'.repeat(500)),
  }))
    t.equal(first(rawTar(member)).extents?.length, 500, `${what}: a map of several blocks`);
});

t.test('malformed maps are refused', async (t) => {
  const gnu = (size: number, entries: [number, number][], data = 'abc') => gnuSparse({ name: 'n' }, size, entries, data);
  const pax = (...records: [string, string][]) => Buffer.concat([paxMember(records), rawMember({}, 'abc')]);
  const text = (data: string) =>
    Buffer.concat([
      paxMember([
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.realsize', '9'],
      ]),
      rawMember({}, data),
    ]);
  const table: Record<string, Buffer> = {
    'parts that overlap': gnu(100, [
      [0, 2],
      [1, 1],
    ]),
    'parts that descend': gnu(100, [
      [50, 2],
      [10, 1],
    ]),
    'a part beyond the end': gnu(100, [[98, 3]]),
    'less data than parts': gnu(100, [[0, 4]]),
    'more data than parts': gnu(100, [[0, 2]]),
    'data without parts': gnu(100, []),
    'no size': pax(['GNU.sparse.map', '0,3']),
    'an odd map': pax(['GNU.sparse.size', '9'], ['GNU.sparse.map', '0,3,5']),
    'a map of words': pax(['GNU.sparse.size', '9'], ['GNU.sparse.map', '0,x']),
    'a negative number': pax(['GNU.sparse.size', '9'], ['GNU.sparse.map', '-1,3']),
    'too many parts': pax(['GNU.sparse.size', '9'], ['GNU.sparse.map', '0,0,'.repeat(70_000)]),
    'a length without an offset': pax(['GNU.sparse.size', '9'], ['GNU.sparse.numbytes', '3']),
    'an unknown version': pax(['GNU.sparse.major', '2'], ['GNU.sparse.size', '9']),
    'version 1.1': pax(['GNU.sparse.major', '1'], ['GNU.sparse.minor', '1'], ['GNU.sparse.size', '9']),
    'a count beyond use': text('99999999\n'.padEnd(512, '\0')),
    'a number that is too long': text('1'.repeat(512)),
    'a map of nonsense': text('1\nx\n'.padEnd(512, '\0')),
    'a map longer than its data': text('5\n1\n'),
    'a map for all members': Buffer.concat([paxMember([['GNU.sparse.size', '9']], 'g'), rawHeader({})]),
    'a sum beyond 2^53': gnu(100, [[Number.MAX_SAFE_INTEGER, 3]]),
  };
  for (const [what, member] of Object.entries(table))
    t.throws(() => walk(rawTar(member)), { ...refused, message: /sparse|sparse file/ }, what);
});

t.test('damaged and unsupported archives are refused', async (t) => {
  const tar = buildTar([{ path: 'a', content: 'x'.repeat(2000) }]);
  const bytes = (hex: string) => Buffer.from(hex, 'hex');
  const table: Record<string, Buffer> = {
    'a wrong checksum': Buffer.concat([Buffer.from('b'), tar.subarray(1)]),
    'a checksum that is no number': rawTar(rawHeader({ checksum: 'nonsense' })),
    'an end within data': tar.subarray(0, 1000),
    'an end within a header': tar.subarray(0, 300),
    'an end within padding': tar.subarray(0, 512 + 2010),
    'an end within a map': rawTar(
      gnuSparse(
        {},
        9000,
        Array.from({ length: 30 }, (_, at) => [at * 300, 0]),
        '',
      ),
    ).subarray(0, 700),
    'a type nobody knows': rawTar(rawHeader({ type: 'Z' })),
    'a GNU incremental directory': rawTar(rawMember({ type: 'D' }, 'Yname\0')),
    'a continued volume': rawTar(rawHeader({ type: 'M' })),
    'a size that is no number': rawTar(rawHeader({ size: Buffer.from('zzzz') })),
    'a size of two numbers': rawTar(rawHeader({ size: Buffer.from('1 1') })),
    'a negative size': rawTar(rawHeader({ size: Buffer.alloc(12, 0xff) })),
    'a huge size': rawTar(rawHeader({ size: bytes('80ffffffffffffffffffffff') })),
    'an owner no file can have': rawTar(rawHeader({ uid: bytes('80000000ffffffff') })),
    'a negative owner': rawTar(rawHeader({ gid: Buffer.alloc(8, 0xff) })),
    'a device number of 13 bits': rawTar(rawHeader({ type: '4', device: [4096, 0] })),
    'an endless extended header': rawTar(rawHeader({ type: 'x', size: 0o77777777777 })),
    'a PAX header of nonsense': rawTar(rawMember({ type: 'x' }, 'nonsense')),
    'half an end mark': Buffer.concat([rawHeader({}), Buffer.alloc(512), rawHeader({ name: 'hidden' }), Buffer.alloc(1024)]),
  };
  for (const [what, damaged] of Object.entries(table)) t.throws(() => walk(damaged), refused, what);
  t.same(walk(Buffer.alloc(0)), [], 'an empty stream is an empty archive');
  t.equal(walk(tar.subarray(0, 512 + 2048)).length, 1, 'a missing end mark is forgiven');
  t.equal(walk(tar.subarray(0, 512 + 2048 + 512)).length, 1, 'half of one at the very end, too');
  t.equal(walk(Buffer.concat([tar, rawHeader({ name: 'behind' })])).length, 1, 'what is behind the end mark is not part of it');
  const signed = rawHeader({ name: 'n\xe9' });
  const sum = Number.parseInt(signed.toString('latin1', 148, 154), 8) - 256;
  t.equal(
    first(rawTar(rawHeader({ name: 'n\xe9', checksum: `${sum.toString(8).padStart(6, '0')}\0 ` }))).path,
    'n\xe9',
    'a signed checksum',
  );
});

t.test('damage anywhere is refused or read, and never anything else', async (t) => {
  const tar = Buffer.concat([
    buildTar(ENTRIES).subarray(0, -1024),
    gnuSparse(
      { name: 's' },
      900,
      [
        [0, 1],
        [9, 2],
        [99, 1],
        [200, 1],
        [300, 1],
      ],
      'abcdef',
    ),
    paxSparse('p', 50, [[1, 3]], 'abc'),
    rawMember({ name: 'r', type: 'x' }, paxRecord('GNU.sparse.map', '1,2,3,4')),
    Buffer.alloc(1024),
  ]);
  let random = 7;
  const next = (limit: number): number => {
    random = (random * 48_271) % 2_147_483_647;
    return random % limit;
  };
  const outcomes = { read: 0, refused: 0 };
  for (let round = 0; round < 3000; round += 1) {
    const damaged = Buffer.from(tar);
    const header = Math.floor(next(damaged.length) / 512) * 512;
    for (let count = next(3) + 1; count > 0; count -= 1) damaged[header + next(512)] = next(256);
    // make the checksum right, or hardly any damage gets any further
    damaged.fill(' ', header + 148, header + 156);
    const sum = damaged.subarray(header, header + 512).reduce((total, byte) => total + byte, 0);
    damaged.write(`${sum.toString(8).padStart(6, '0')}\0 `, header + 148, 'latin1');
    try {
      walk(damaged);
      outcomes.read += 1;
    } catch (error) {
      if ((error as { reason?: string }).reason !== 'IMAGE_LAYER') throw error;
      outcomes.refused += 1;
    }
  }
  t.ok(outcomes.read > 100 && outcomes.refused > 100, JSON.stringify(outcomes));
});

t.test('data can be passed over instead of pushed: the walk goes on behind it', async (t) => {
  const tar = buildTar(ENTRIES);
  const seen: [string, number][] = [];
  let at = 0;
  const walker = new TarWalker({
    begin: (member) => void seen.push([member.path.slice(0, 4), at]),
    data: () => t.fail('no data was asked for'),
    end: () => undefined,
  });
  t.equal(walker.skip(), 0, 'nothing to pass over between members');
  while (at < tar.length && !walker.ended) {
    const end = at - (at % 512) + 512;
    const block = tar.subarray(at, end);
    at = end;
    walker.push(block);
    at += walker.skip();
  }
  walker.finish();
  t.ok(walker.ended);
  t.same(
    seen.map(([name]) => name),
    walk(tar).map(({ member }) => member.path.slice(0, 4)),
  );
  for (const [name, offset] of seen.slice(0, 2)) t.equal(tar.toString('latin1', offset, offset + 1), name === 'a' ? 'x' : 'y');
});

t.test('attributes of several extended headers add up, within the bounds of one', async (t) => {
  const header = (type: 'x' | 'g', from: number, count: number, value: string): Buffer =>
    paxMember(
      Array.from({ length: count }, (_, at) => [`SCHILY.xattr.user.${from + at}`, value]),
      type,
    );
  const file = rawMember({ name: 'f' });
  t.equal(first(rawTar(header('x', 0, 100, 'v'), header('x', 50, 100, 'v'), file)).xattrs.size, 150);
  for (const type of ['x', 'g'] as const) {
    t.throws(() => walk(rawTar(header(type, 0, 200, 'v'), header(type, 200, 57, 'v'), file)), refused, `too many of type ${type}`);
    const long = 'v'.repeat(600_000);
    t.throws(() => walk(rawTar(header(type, 0, 1, long), header(type, 1, 1, long), file)), refused, `too long ones of type ${type}`);
    t.equal(first(rawTar(header(type, 0, 1, long), header(type, 0, 1, long), file)).xattrs.size, 1, 'the same one again');
  }
});
