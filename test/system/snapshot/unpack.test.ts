import { createHash } from 'node:crypto';
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { buildTar, type TarEntry } from '../../../hack/lib/tar.ts';
import { TailProgress, unpackLayer, usage } from '../../../src/snapshot/index.ts';
import { openRoot, setXattrAt } from '../../../src/sys/index.ts';
import { closeFd } from '../../../src/sys/libc.ts';
import { readTree } from '../../fixtures/tree.ts';
import { scratch, unpack } from '../../fixtures/unpacking.ts';

const never = new AbortController().signal;

interface Place {
  base: string;
  /** Where the layer goes. */
  dir: string;
}

/** An empty layer directory. */
function place(t: Test): Place {
  const base = scratch(t);
  mkdirSync(join(base, 'layer'));
  return { base, dir: join(base, 'layer') };
}

const modeOf = (path: string): number => lstatSync(path).mode & 0o7777;

t.test('files, links, devices, owners, modes, times and attributes are what the archive says', async (t) => {
  const at = place(t);
  const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex'); // cap_net_bind_service+ep
  const entries: TarEntry[] = [
    { path: './', type: 'directory', mode: 0o750, uid: 5, gid: 6, mtime: 1000 },
    { path: 'dir/', type: 'directory', mode: 0o2555, mtime: 1234.5 },
    { path: 'dir/setuid', content: 'x', mode: 0o6755, uid: 1, gid: 2, mtime: 99 },
    {
      path: 'dir/cap',
      content: 'x',
      uid: 1,
      xattrs: { 'security.capability': capability, 'user.note': 'n', 'trusted.overlay.opaque': 'y', 'security.selinux': 's' },
    },
    { path: 'dir/hard', type: 'hardlink', target: '/dir/setuid' },
    { path: 'dir/sym', type: 'symlink', target: '/nowhere', uid: 7, mtime: 55 },
    { path: 'null', type: 'char', device: [1, 300], mode: 0o666 },
    { path: 'disk', type: 'block', device: [8, 1] },
    { path: 'fifo', type: 'fifo', mode: 0o622 },
    { path: 'made/up/file', content: 'f' },
    { path: 'dir/setuid2', content: '' },
  ];
  const tar = buildTar(entries);
  const result = await unpack(at.dir, gzipSync(tar));
  const { dir } = at;
  t.equal(result.diffId, `sha256:${createHash('sha256').update(tar).digest('hex')}`);
  t.match(result, { sizeBytes: 3, inodes: 12, implied: ['made', 'made/up'], opaqueRoot: false });
  t.match(lstatSync(dir), { uid: 5, gid: 6, mtimeMs: 1_000_000 });
  t.equal(modeOf(dir), 0o750);
  t.equal(modeOf(join(dir, 'dir')), 0o2555);
  t.equal(lstatSync(join(dir, 'dir')).mtimeMs, 1_234_500, 'a directory’s time is set last');
  t.equal(modeOf(join(dir, 'dir/setuid')), 0o6755);
  t.match(lstatSync(join(dir, 'dir/setuid')), { uid: 1, gid: 2, mtimeMs: 99_000, nlink: 2 });
  t.match(lstatSync(join(dir, 'dir/sym')), { uid: 7, mtimeMs: 55_000 });
  t.equal(lstatSync(join(dir, 'null')).rdev, (1 << 8) | (300 & 0xff) | ((300 & ~0xff) << 12));
  t.ok(lstatSync(join(dir, 'disk')).isBlockDevice());
  t.ok(lstatSync(join(dir, 'fifo')).isFIFO());
  t.equal(modeOf(join(dir, 'made')), 0o755);
  const { xattrs = [] } = readTree(dir).get('dir/cap') ?? {};
  t.same(xattrs, [`security.capability=${capability.toString('hex')}`, 'user.note=6e'], 'other attributes are dropped');
});

t.test('whiteouts become what overlayfs understands, and hide only lower layers', async (t) => {
  const at = place(t);
  const result = await unpack(
    at.dir,
    buildTar([
      { path: 'a/.wh.gone' },
      { path: 'own', content: 'stays' },
      { path: '.wh.own' },
      { path: '.wh.later' },
      { path: 'later/', type: 'directory' },
      { path: 'emptied/.wh..wh..opq' },
      { path: '.wh..wh.plnk', content: 'aufs' },
      { path: '.wh..wh..opq' },
    ]),
  );
  const gone = lstatSync(join(at.dir, 'a/gone'));
  t.ok(gone.isCharacterDevice() && gone.rdev === 0);
  t.equal(readFileSync(join(at.dir, 'own'), 'utf8'), 'stays');
  t.ok(lstatSync(join(at.dir, 'later')).isDirectory());
  const tree = readTree(at.dir);
  for (const name of ['later', 'emptied']) t.same(tree.get(name)?.xattrs, ['trusted.overlay.opaque=79'], name);
  t.same(readdirSync(at.dir).sort(), ['a', 'emptied', 'later', 'own']);
  t.equal(result.opaqueRoot, true);
});

t.test('a later member replaces an earlier one of its name, whatever they are', async (t) => {
  const at = place(t);
  await unpack(
    at.dir,
    buildTar([
      { path: 'x', content: 'file' },
      { path: 'x/', type: 'directory' },
      { path: 'x/inner', content: '1' },
      { path: 'x/link', type: 'symlink', target: '../../elsewhere' },
      { path: 'x', content: 'file again' },
      { path: 'dir', type: 'symlink', target: 'x' },
      { path: 'dir/', type: 'directory' },
      { path: 'dir/child', content: 'c' },
      { path: 'dir/', type: 'directory', mode: 0o700 },
    ]),
  );
  t.equal(readFileSync(join(at.dir, 'x'), 'utf8'), 'file again');
  t.equal(readFileSync(join(at.dir, 'dir/child'), 'utf8'), 'c', 'a directory named again keeps what it has');
  t.equal(modeOf(join(at.dir, 'dir')), 0o700);
});

t.test('names that are not UTF-8 arrive byte for byte', async (t) => {
  const at = place(t);
  const tar = buildTar([{ path: 'nameXX', content: 'x' }]);
  tar[4] = 0xff;
  tar[5] = 0xfe;
  const sum = tar.subarray(0, 512).reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  await unpack(at.dir, tar);
  t.same(readdirSync(at.dir, { encoding: 'buffer' }), [Buffer.from('name\xff\xfe', 'latin1')]);
});

t.test('gzip members, zstd frames and padding behind them are one stream; a truncated one is refused', async (t) => {
  const tar = buildTar([{ path: 'big', content: Buffer.alloc(300_000, 'z') }]);
  const [head, rest] = [tar.subarray(0, 100_000), tar.subarray(100_000)];
  const whole = {
    'two gzip members': Buffer.concat([gzipSync(head), gzipSync(rest)]),
    'gzip with zeros behind': Buffer.concat([gzipSync(tar), Buffer.alloc(600_000)]),
    'two zstd frames': Buffer.concat([zstdCompressSync(head), zstdCompressSync(rest)]),
    'a plain tar with more behind it': Buffer.concat([tar, Buffer.alloc(700_000, 'x')]),
  };
  for (const [what, blob] of Object.entries(whole)) {
    const at = place(t);
    await unpack(at.dir, blob);
    t.equal(lstatSync(join(at.dir, 'big')).size, 300_000, what);
  }
  const broken = {
    'truncated gzip': gzipSync(tar).subarray(0, -9),
    'truncated zstd': zstdCompressSync(tar).subarray(0, -9),
    'truncated tar': tar.subarray(0, 200_000),
    'no tar': Buffer.alloc(2048, 'x'),
    'broken gzip': Buffer.concat([gzipSync(tar).subarray(0, 20), Buffer.alloc(2000, 'x')]),
  };
  for (const [what, blob] of Object.entries(broken))
    await t.rejects(unpack(place(t).dir, blob), { name: 'RuntimeError', reason: 'IMAGE_LAYER' }, what);
});

t.test('modes, owners and ACLs are the archive’s, whatever the daemon and the directory have of their own', async (t) => {
  const at = place(t);
  const acl = Buffer.from('0200000001000700ffffffff02000700d204000004000700ffffffff10000700ffffffff20000700ffffffff', 'hex'); // u:1234:rwx
  const root = openRoot(at.dir);
  setXattrAt(root, '.', { name: 'system.posix_acl_default', value: acl });
  closeFd(root);
  chownSync(at.dir, 7, 8);
  chmodSync(at.dir, 0o2700);
  const before = process.umask(0o077);
  t.teardown(() => process.umask(before));
  await unpack(
    at.dir,
    buildTar([
      { path: 'dir/', type: 'directory', mode: 0o775 },
      { path: 'dir/file', content: 'f', mode: 0o666 },
      { path: 'implied/fifo', type: 'fifo', mode: 0o666 },
      { path: 'implied/file', content: 'f', mode: 0o644 },
      { path: 'acl/', type: 'directory', mode: 0o770, xattrs: { 'system.posix_acl_default': acl } },
      { path: 'acl/file', content: 'f', mode: 0o640 },
    ]),
  );
  const tree = readTree(at.dir);
  for (const [path, { owner }] of tree) t.equal(owner, '0:0', path);
  t.same(
    [...tree].map(([path, { mode, xattrs }]) => [path, mode, xattrs.length]),
    [
      ['', '0755', 0],
      ['acl', '0770', 1],
      ['acl/file', '0640', 0],
      ['dir', '0775', 0],
      ['dir/file', '0666', 0],
      ['implied', '0755', 0],
      ['implied/fifo', '0666', 0],
      ['implied/file', '0644', 0],
    ],
  );
});

t.test('what a later member takes away is not counted', async (t) => {
  const at = place(t);
  const result = await unpack(
    at.dir,
    buildTar([
      { path: 'a', content: 'x'.repeat(5000) },
      { path: 'a', content: 'x' },
      { path: 'd/e/f', content: 'x'.repeat(9000) },
      { path: 'd/e/hard', type: 'hardlink', target: 'd/e/f' },
      { path: 'd/e/fifo', type: 'fifo' },
      { path: 'd', type: 'symlink', target: 'a' },
      { path: 'kept', content: 'x'.repeat(100) },
      { path: 'link', type: 'hardlink', target: 'kept' },
      { path: 'kept', content: 'y' },
    ]),
  );
  t.match(result, { sizeBytes: 1 + 100 + 1, diskBytes: 4096 * 4, inodes: 5, implied: [''] }, 'root, a, d, kept, link');
  const { usedBytes, inodesUsed } = await usage(at.dir);
  t.same([usedBytes, inodesUsed], [BigInt(result.diskBytes), BigInt(result.inodes)], 'as a walk finds it');
});

t.test('a reader follows a file that is still growing, and stops when it is given up', async (t) => {
  const at = place(t);
  const blob = gzipSync(
    buildTar([
      { path: 'a', content: Buffer.alloc(100_000, 'q') },
      { path: 'b', content: 'end' },
    ]),
    { level: 0 },
  );
  const part = join(at.base, 'part');
  const progress = new TailProgress();
  const unpacking = unpackLayer({ part, progress, dir: at.dir, signal: never });
  for (let end = 0; end < blob.length; ) {
    end = Math.min(end + 30_000, blob.length);
    writeFileSync(part, blob.subarray(0, end));
    progress.advance(end);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  progress.complete();
  await unpacking;
  t.equal(readFileSync(join(at.dir, 'b'), 'utf8'), 'end');

  const other = place(t);
  const abandoned = new TailProgress();
  const waiting = unpackLayer({ part: join(other.base, 'none'), progress: abandoned, dir: other.dir, signal: never });
  abandoned.abandon();
  await t.rejects(waiting, { message: /given up/ });
});

t.test('a layer that is itself reached by a symlink does not matter', async (t) => {
  const at = place(t);
  symlinkSync(at.dir, join(at.base, 'alias'));
  await unpack(join(at.base, 'alias'), buildTar([{ path: 'f', content: 'x' }]));
  t.same(readdirSync(at.dir), ['f']);
});
