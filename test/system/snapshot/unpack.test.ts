import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { buildTar, type TarEntry } from '../../../hack/lib/tar.ts';
import { TailProgress, type UnpackResult, unpackLayer } from '../../../src/snapshot/index.ts';
import { readTree } from '../../fixtures/tree.ts';

const never = new AbortController().signal;
const OUTSIDE = 'outside';

interface Place {
  base: string;
  /** Where the layer goes. */
  dir: string;
}

/** A layer directory beside a directory that must stay as it is. */
function place(t: Test): Place {
  const base = mkdtempSync(join(tmpdir(), 'berth-unpack-'));
  t.teardown(() => rmSync(base, { recursive: true, force: true }));
  mkdirSync(join(base, 'layer'));
  mkdirSync(join(base, OUTSIDE));
  writeFileSync(join(base, OUTSIDE, 'precious'), 'precious');
  return { base, dir: join(base, 'layer') };
}

async function unpack({ base, dir }: Place, blob: Buffer): Promise<UnpackResult> {
  const part = join(base, 'part');
  writeFileSync(part, blob);
  const progress = new TailProgress();
  progress.advance(blob.length);
  progress.complete();
  return unpackLayer({ part, progress, dir, signal: never });
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
  const result = await unpack(at, gzipSync(tar));
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
    at,
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
    at,
    buildTar([
      { path: 'x', content: 'file' },
      { path: 'x/', type: 'directory' },
      { path: 'x/inner', content: '1' },
      { path: 'x/link', type: 'symlink', target: `../../${OUTSIDE}` },
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
  await unpack(at, tar);
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
    await unpack(at, blob);
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
    await t.rejects(unpack(place(t), blob), { name: 'RuntimeError', reason: 'IMAGE_LAYER' }, what);
});

t.test('a hostile layer cannot touch anything outside its directory', async (t) => {
  const deep = '../'.repeat(12);
  const hostile: Record<string, (base: string) => TarEntry[]> = {
    'dotdot name': () => [{ path: `../${OUTSIDE}/precious`, content: 'evil' }],
    'dotdot within a name': () => [{ path: `a/../../${OUTSIDE}/precious`, content: 'evil' }],
    'absolute name': (base) => [{ path: `${base}/${OUTSIDE}/precious`, content: 'evil' }],
    'absolute symlink as a parent': (base) => [
      { path: 'l', type: 'symlink', target: `${base}/${OUTSIDE}` },
      { path: 'l/precious', content: 'evil' },
    ],
    'relative symlink as a parent': () => [
      { path: 'l', type: 'symlink', target: `../${OUTSIDE}` },
      { path: 'l/precious', content: 'evil' },
    ],
    'a chain of symlinks': () => [
      { path: 'a', type: 'symlink', target: '..' },
      { path: 'b', type: 'symlink', target: `a/${OUTSIDE}` },
      { path: 'b/precious', content: 'evil' },
    ],
    'symlink as the file itself': (base) => [
      { path: 'f', type: 'symlink', target: `${base}/${OUTSIDE}/precious` },
      { path: 'f', content: 'evil' },
    ],
    'hard link by dotdot': () => [
      { path: 'h', type: 'hardlink', target: `${deep}etc/passwd` },
      { path: 'h', content: 'evil' },
    ],
    'hard link to an absolute name': (base) => [
      { path: 'h', type: 'hardlink', target: `${base}/${OUTSIDE}/precious` },
      { path: 'h', content: 'evil' },
    ],
    'hard link through a symlink': (base) => [
      { path: 's', type: 'symlink', target: `${base}/${OUTSIDE}` },
      { path: 'h', type: 'hardlink', target: 's/precious' },
    ],
    'chmod through a symlink': (base) => [
      { path: 'd', type: 'symlink', target: `${base}/${OUTSIDE}` },
      { path: 'd/', type: 'directory', mode: 0o777 },
    ],
    'whiteout of the parent': () => [{ path: '.wh...' }],
    'whiteout of the directory itself': () => [{ path: 'a/.wh..' }],
    'whiteout through a symlink': (base) => [{ path: 'd', type: 'symlink', target: `${base}/${OUTSIDE}` }, { path: 'd/.wh.precious' }],
    'opaque mark through a symlink': (base) => [{ path: 'd', type: 'symlink', target: `${base}/${OUTSIDE}` }, { path: 'd/.wh..wh..opq' }],
    'root replaced by a symlink': (base) => [{ path: '.', type: 'symlink', target: `${base}/${OUTSIDE}` }],
    'NUL in a PAX name': () => [{ path: 'x', content: 'evil', pax: { path: `ok\0/../../${OUTSIDE}/precious` } }],
    'dotdot in a PAX name': () => [{ path: 'x', content: 'evil', pax: { path: `../${OUTSIDE}/precious` } }],
    'a magic link as a parent': () => [
      { path: 'p', type: 'symlink', target: '/proc/self/cwd' },
      { path: 'p/berth-escaped', content: 'evil' },
    ],
    'a name of 300 bytes': () => [{ path: 'n'.repeat(300), content: 'evil' }],
  };
  for (const [what, entries] of Object.entries(hostile)) {
    const at = place(t);
    const outside = join(at.base, OUTSIDE);
    const before = lstatSync(outside, { bigint: true });
    await unpack(at, buildTar(entries(at.base))).catch((error: unknown) => {
      t.match(error, { name: 'RuntimeError', reason: 'IMAGE_LAYER' }, `${what}: refused with words`);
    });
    t.equal(readFileSync(join(outside, 'precious'), 'utf8'), 'precious', `${what}: content outside untouched`);
    t.same(readdirSync(outside), ['precious'], what);
    const after = lstatSync(outside, { bigint: true });
    t.match(
      { mode: after.mode, ctimeNs: after.ctimeNs },
      { mode: before.mode, ctimeNs: before.ctimeNs },
      `${what}: the directory outside untouched`,
    );
    t.equal(lstatSync(join(outside, 'precious')).nlink, 1, what);
    t.notOk(readdirSync(process.cwd()).includes('berth-escaped'), what);
  }
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
  await unpack({ base: at.base, dir: join(at.base, 'alias') }, buildTar([{ path: 'f', content: 'x' }]));
  t.same(readdirSync(at.dir), ['f']);
});
