import t from 'tap';
import { parseMountinfo } from '../../../src/sys/mountinfo.ts';

t.test('a line with every kind of field', async (t) => {
  const [entry, ...rest] = parseMountinfo(
    '36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue\n',
  );
  t.same(rest, []);
  t.same(entry, {
    id: 36,
    parentId: 35,
    device: '98:0',
    root: '/mnt1',
    target: '/mnt2',
    options: ['rw', 'noatime'],
    propagation: ['master:1', 'propagate_from:2'],
    fsType: 'ext3',
    source: '/dev/root',
    superOptions: ['rw', 'errors=continue'],
  });
});

t.test('a private mount has no propagation tags, and a namespace pin shows its inode as root', async (t) => {
  const [entry] = parseMountinfo('700 41 0:4 net:[4026532180] /run/berth/ns/a\\040b rw - nsfs nsfs rw\n');
  t.same(entry?.propagation, []);
  t.equal(entry?.root, 'net:[4026532180]');
  t.equal(entry?.target, '/run/berth/ns/a b');
});

t.test('escapes are undone once, and other text stays', async (t) => {
  const targets = parseMountinfo(
    ['1 0 0:1 / /tab\\011x rw - tmpfs t rw', '2 0 0:1 / /back\\134040 rw - tmpfs t rw', '3 0 0:1 / /ünï-\\012 rw - tmpfs t rw'].join('\n'),
  ).map((entry) => entry.target);
  t.same(targets, ['/tab\tx', '/back\\040', '/ünï-\n']);
});

t.test('a source that is a dash or empty does not shift the fields', async (t) => {
  const [dash, empty] = parseMountinfo('1 0 0:1 / /a rw - tmpfs - rw\n2 0 0:1 / /b rw shared:3 - tmpfs  rw,size=1k\n');
  t.equal(dash?.source, '-');
  t.equal(empty?.source, '');
  t.same(empty?.superOptions, ['rw', 'size=1k']);
});

t.test('what is not a mountinfo line is left out', async (t) => {
  t.same(parseMountinfo(''), []);
  t.same(parseMountinfo('\n\ngarbage\n1 2 3 4 5 6 7 8\n1 0 0:1 / /a rw -\n'), []);
});
