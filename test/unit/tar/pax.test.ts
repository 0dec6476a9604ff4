import t from 'tap';
import { parsePax } from '../../../src/tar/pax.ts';
import { paxRecord } from '../../fixtures/raw-tar.ts';

const parse = (text: string) => parsePax(Buffer.from(text, 'latin1'));
const refused = { name: 'RuntimeError', reason: 'IMAGE_LAYER' };

t.test('records are read by their lengths', async (t) => {
  t.same(parse('12 path=a=b\n'), { path: 'a=b' });
  t.same(parse('12 path=\n..\n'), { path: '\n..' }, 'a newline may be in a value');
  t.same(parse('8 path=\n'), { path: undefined }, 'an empty value takes the key back');
  t.same(parse('15 mtime=-1.25\n'), { mtime: { seconds: -2, nanoseconds: 750_000_000 } });
  t.same(parse('13 mtime=-20\n'), { mtime: { seconds: -20, nanoseconds: 0 } });
  t.same(parse('12 mtime=-0\n'), { mtime: { seconds: 0, nanoseconds: 0 } });
  t.same(parse(paxRecord('mtime', '1700000000.1234567891')), { mtime: { seconds: 1_700_000_000, nanoseconds: 123_456_789 } });
  t.same(parse(paxRecord('comment', 'x') + paxRecord('hdrcharset', 'BINARY')), {}, 'what nobody needs is dropped');
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
    ' 9 path=a\n',
    '9',
    '00000009 path=a\n',
    '24 size=9999999999999999\n',
  ]) {
    t.throws(() => parse(bad), refused, JSON.stringify(bad));
  }
});

t.test('extended attributes come in two dialects', async (t) => {
  const xattrs = (text: string) =>
    Object.fromEntries([...(parse(text).xattrs ?? [])].map(([name, value]) => [name, value.toString('latin1')]));
  t.same(xattrs(paxRecord('SCHILY.xattr.user.a', 'v\0\n=w')), { 'user.a': 'v\0\n=w' });
  t.same(xattrs(paxRecord('SCHILY.xattr.user.a', '')), { 'user.a': '' }, 'an empty one is one');
  t.same(xattrs(paxRecord('LIBARCHIVE.xattr.user.a%3Db%25', 'aGk')), { 'user.a=b%': 'hi' });
  const both = [paxRecord('SCHILY.xattr.user.a', 'star'), paxRecord('LIBARCHIVE.xattr.user.a', 'aGk')];
  t.same(xattrs(both.join('')), { 'user.a': 'star' });
  t.same(xattrs(both.reverse().join('')), { 'user.a': 'star' });
  t.throws(() => parse(Array.from({ length: 257 }, (_, at) => paxRecord(`SCHILY.xattr.user.${at}`, '')).join('')), refused);
  t.throws(() => parse(paxRecord('SCHILY.xattr.', 'x')), refused);
  t.throws(() => parse(paxRecord('SCHILY.xattr.user.a\0b', 'x')), refused);
});
