import t from 'tap';
import { buildTar, type TarEntry } from '../../../hack/lib/tar.ts';
import { parseWhiteout } from '../../../src/snapshot/whiteout.ts';
import type { ByteString } from '../../../src/tar/bytes.ts';
import { splitPath } from '../../../src/tar/bytes.ts';
import { parseHeader } from '../../../src/tar/header.ts';
import { parsePax } from '../../../src/tar/pax.ts';
import { type Member, TarWalker } from '../../../src/tar/walker.ts';

/** Walks `tar` in pieces of `step` bytes. */
function walk(tar: Buffer, step = tar.length): { member: Member; data: string; ended: boolean }[] {
  const seen: { member: Member; data: string; ended: boolean }[] = [];
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

/** Sets bytes of the first header and makes its checksum right. */
function patched(tar: Buffer, offset: number, bytes: Buffer | string): Buffer {
  const copy = Buffer.from(tar);
  Buffer.from(bytes).copy(copy, offset);
  const sum = copy.subarray(0, 512).reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return copy;
}

const ENTRIES: TarEntry[] = [
  { path: 'a', content: 'x'.repeat(511) },
  { path: 'b', content: 'y'.repeat(512) },
  { path: 'c', content: '' },
  { path: `${'long/'.repeat(60)}end`, content: 'z'.repeat(1025), mtime: 12.5, xattrs: { 'user.k': 'v\0w' } },
  { path: 'l', type: 'symlink', target: 't'.repeat(300) },
  { path: 'd/', type: 'directory', mode: 0o1777, uid: 1000, gid: 2000 },
];

t.test('a stream is walked alike however it is cut', async (t) => {
  const tar = buildTar(ENTRIES);
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
    ],
  );
  t.match(whole[3]!.member, { mtime: { seconds: 12n, nanoseconds: 500_000_000 }, size: 1025 });
  t.equal(whole[3]!.member.xattrs.get('user.k')?.toString(), 'v\0w');
  t.equal(whole[4]!.member.linkPath.length, 300);
  t.match(whole[5]!.member, { mode: 0o1777, uid: 1000, gid: 2000 });
  for (const step of [1, 7, 511, 512, 513, 1000]) t.same(walk(tar, step), whole, `${step} bytes at a time`);
});

t.test('GNU long names, v7 directories, ustar prefixes and base-256 numbers are understood', async (t) => {
  const long = `${'g'.repeat(200)}\0`;
  const header = patched(buildTar([{ path: '././@LongLink', content: long }]), 156, 'L').subarray(0, 1024);
  t.equal(walk(Buffer.concat([header, buildTar([{ path: 'short', content: 'c' }])]))[0]!.member.path, 'g'.repeat(200));
  t.equal(walk(patched(buildTar([{ path: 'old/' }]), 156, '\0'))[0]!.member.type, 'directory');
  t.equal(walk(patched(buildTar([{ path: 'name' }]), 345, 'pre/fix'))[0]!.member.path, 'pre/fix/name');
  const uid = Buffer.from('80000000ffffffff', 'hex').subarray(0, 8);
  t.equal(walk(patched(buildTar([{ path: 'n' }]), 108, uid))[0]!.member.uid, 0xffffffff);
  const mtime = Buffer.alloc(12, 0xff);
  t.equal(walk(patched(buildTar([{ path: 'n' }]), 136, mtime))[0]!.member.mtime.seconds, -1n);
});

t.test('damaged and unsupported archives are refused', async (t) => {
  const tar = buildTar([{ path: 'a', content: 'x'.repeat(2000) }]);
  const table: Record<string, Buffer> = {
    'a wrong checksum': Buffer.concat([Buffer.from('b'), tar.subarray(1)]),
    'an end within data': tar.subarray(0, 1000),
    'an end within a header': tar.subarray(0, 300),
    'an end within padding': tar.subarray(0, 512 + 2010),
    'a type nobody knows': patched(tar, 156, 'Z'),
    'a sparse file': patched(tar, 156, 'S'),
    'a size that is no number': patched(tar, 124, 'zzzz'),
    'a negative size': patched(tar, 124, Buffer.alloc(12, 0xff)),
    'a huge size': patched(tar, 124, Buffer.concat([Buffer.from([0x80]), Buffer.alloc(11, 0xff)])),
    'an endless extended header': patched(patched(tar, 156, 'x'), 124, '77777777777'),
    'a PAX header of nonsense': patched(tar, 156, 'x'),
    'a PAX sparse file': buildTar([{ path: 'a', pax: { 'GNU.sparse.major': '1' } }]),
  };
  for (const [what, bytes] of Object.entries(table)) t.throws(() => walk(bytes), { name: 'RuntimeError', reason: 'IMAGE_LAYER' }, what);
  t.same(walk(Buffer.alloc(0)), [], 'an empty stream is an empty archive');
  t.equal(walk(tar.subarray(0, 512 + 2048)).length, 1, 'a missing end mark is forgiven');
});

t.test('PAX records are read by their lengths', async (t) => {
  t.same(parsePax(Buffer.from('12 path=a=b\n')), { path: 'a=b' });
  t.same(parsePax(Buffer.from('12 path=\n..\n')), { path: '\n..' }, 'a newline may be in a value');
  t.same(parsePax(Buffer.from('8 path=\n')), {}, 'an empty value takes nothing');
  t.same(parsePax(Buffer.from('15 mtime=-1.25\n')), { mtime: { seconds: -2n, nanoseconds: 750_000_000 } });
  for (const bad of [
    '5 a=b',
    '99 path=a\n',
    '0 path=a\n',
    'x path=a\n',
    '9 path a\n',
    '-5 path=a\n',
    '10 size=-1\n',
    '10 mtime=x\n',
    '1e1 uid=1\n',
  ]) {
    t.throws(() => parsePax(Buffer.from(bad)), { name: 'RuntimeError', reason: 'IMAGE_LAYER' }, JSON.stringify(bad));
  }
});

t.test('paths and whiteouts are taken apart', async (t) => {
  t.same(splitPath('/./a//b/./c/'), ['a', 'b', 'c']);
  t.same(splitPath('./'), []);
  for (const bad of ['..', 'a/../b', '/..', 'a\0b', 'x'.repeat(256), 'x/'.repeat(2100)])
    t.throws(() => splitPath(bad), { name: 'RuntimeError', reason: 'IMAGE_LAYER' });
  const whiteout = (name: string) => parseWhiteout(name as ByteString);
  t.equal(whiteout('.whatever'), undefined);
  t.same(whiteout('.wh.a'), { kind: 'remove', name: 'a' });
  t.same(whiteout('.wh..wh..opq'), { kind: 'opaque' });
  t.same(whiteout('.wh..wh.aufs'), { kind: 'ignored' });
  for (const bad of ['.wh.', '.wh..', '.wh...']) t.throws(() => whiteout(bad), { name: 'RuntimeError', reason: 'IMAGE_LAYER' });
  t.equal(parseHeader(Buffer.alloc(512)), undefined);
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
