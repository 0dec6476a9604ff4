/**
 * Whole layers of hostile archives, unpacked beside a canary: whatever they
 * say, nothing outside the layer's directory changes, no descriptor stays
 * open, and a failure is the layer's or the disk's.
 */
import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { buildTar, type TarEntry } from '../../../hack/lib/tar.ts';
import { errnoOf, isRuntimeError } from '../../../src/errors/index.ts';
import { LayerWriter } from '../../../src/snapshot/layer-writer.ts';
import { TarWalker } from '../../../src/tar/index.ts';
import { withChecksums, writtenArchive } from '../../fixtures/fuzz/archive.ts';
import { refusal } from '../../fixtures/fuzz/errors.ts';
import { fuzz, type Random } from '../../fixtures/fuzz.ts';

/** Stands for the directory of the test in archives, so that they are the same each time; as long as that one's name. */
const PLACE = '/tmp/berth-fuzz-CANARY';
const DISK_ERRORS = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO']);
const UP = '../'.repeat(20);

/** What is beside the layer, with everything that a touch would change; ctime is that of owners, modes and attributes too. */
function canaryOf(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(dir, name))
    .concat(dir)
    .sort()
    .map((path) => {
      const { mode, uid, gid, size, nlink, ino, mtimeNs, ctimeNs } = lstatSync(path, { bigint: true });
      const content = lstatSync(path).isFile() ? readFileSync(path, 'latin1') : lstatSync(path).isSymbolicLink() ? readlinkSync(path) : '';
      return [path, mode, uid, gid, size, nlink, ino, mtimeNs, ctimeNs, content].join(' ');
    });
}

/** What this process has open below a directory. */
function openBelow(dir: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(`${dir}/`) ? [path] : [];
    } catch {
      return []; // the one that listed them
    }
  });
}

/** Ways out, each of which has been one in some reader. */
const WAYS_OUT: TarEntry[][] = [
  [{ path: '../outside/precious', content: 'evil' }],
  [{ path: 'a/../../outside/precious', content: 'evil' }],
  [{ path: `${PLACE}/outside/precious`, content: 'evil' }],
  [
    { path: 'l', type: 'symlink', target: `${PLACE}/outside` },
    { path: 'l/precious', content: 'evil' },
  ],
  [
    { path: 'l', type: 'symlink', target: '../outside' },
    { path: 'l/new/file', content: 'evil' },
  ],
  [{ path: 'a', type: 'symlink', target: '..' }, { path: 'b', type: 'symlink', target: 'a/outside' }, { path: 'b/.wh.precious' }],
  [
    { path: 'f', type: 'symlink', target: `${PLACE}/outside/precious` },
    { path: 'f', content: 'evil', mode: 0o777, uid: 1 },
  ],
  [
    { path: 'h', type: 'hardlink', target: `${UP}${PLACE}/outside/precious` },
    { path: 'h', content: 'evil' },
  ],
  [
    { path: 's', type: 'symlink', target: `${PLACE}/outside` },
    { path: 'h', type: 'hardlink', target: 's/precious' },
    { path: 'h', content: 'evil' },
  ],
  [
    { path: 'd', type: 'symlink', target: `${PLACE}/outside` },
    { path: 'd/', type: 'directory', mode: 0o777, uid: 5, xattrs: { 'user.evil': 'x' } },
  ],
  [{ path: 'd', type: 'symlink', target: `${PLACE}/outside` }, { path: 'd/.wh..wh..opq' }, { path: 'd/sub/', type: 'directory' }],
  [
    { path: '.', type: 'symlink', target: `${PLACE}/outside` },
    { path: 'precious', content: 'evil' },
  ],
  [{ path: './', type: 'directory', mode: 0o700, xattrs: { 'system.posix_acl_access': 'x' } }],
  [
    { path: 'd/', type: 'directory' },
    { path: 'd/f', content: '1' },
    { path: 'd', type: 'symlink', target: `${PLACE}/outside` },
    { path: 'd/precious', content: 'evil' },
  ],
  [
    { path: 'd/e/', type: 'directory', mode: 0o1777 },
    { path: 'd', type: 'symlink', target: `${PLACE}/outside` },
  ],
  [
    { path: 'p', type: 'symlink', target: '/proc/self/cwd' },
    { path: 'p/evil', content: 'evil' },
  ],
  [
    { path: 'p', type: 'symlink', target: '/proc/self/fd/1' },
    { path: 'p', content: 'evil' },
  ],
  [{ path: 'x', content: 'e', pax: { path: `ok\0/../../outside/precious`, linkpath: `${PLACE}/outside` } }],
  [
    { path: 's', type: 'symlink', target: 't'.repeat(5000) },
    { path: 'n'.repeat(300), content: 'evil' },
  ],
  [
    { path: 'c', type: 'char', device: [1, 3] },
    { path: 'c', content: 'evil' },
    { path: 'b', type: 'block', device: [8, 0] },
    { path: 'q', type: 'fifo' },
    { path: 'q', content: 'x' },
  ],
  [{ path: '.wh...' }],
  [{ path: 'a/.wh..' }],
  [{ path: '.wh.' }],
  [{ path: '.wh..wh..opq' }, { path: '.wh.x', content: 'data of a whiteout' }],
  [{ path: 'a', type: 'hardlink', target: 'a' }],
  [
    { path: 'a/', type: 'directory' },
    { path: 'b', type: 'hardlink', target: 'a' },
  ],
  [
    {
      path: 'f',
      content: 'x',
      xattrs: { 'user.evil': 'x'.repeat(100), 'security.capability': 'x', 'trusted.overlay.redirect': '/etc', 'user.': '' },
    },
  ],
];

const words = [
  '../',
  './',
  '/',
  '.wh.',
  '.wh..wh..opq',
  'outside/precious',
  `${PLACE}/outside`,
  '/proc/self/cwd',
  '/proc/self/root',
  'l',
  'd',
  'a/b',
  '..',
  '\0',
];

/** Members of few names, so that they get in each other's way. */
function tangled(random: Random): Buffer {
  const name = (): string => random.list(1, 3, () => random.pick(['a', 'b', 'c', '.wh.a', '.wh.b', '.', 'outside'])).join('/');
  const entry = (): TarEntry => {
    const type = random.pick(['file', 'directory', 'directory', 'symlink', 'symlink', 'hardlink', 'fifo', 'char'] as const);
    const target = random.pick([
      name(),
      `../${name()}`,
      `/${name()}`,
      '..',
      '.',
      '../outside',
      `${PLACE}/outside`,
      '/proc/self/cwd',
      '../../outside/precious',
    ]);
    const isLink = type === 'symlink' || type === 'hardlink';
    return {
      path: name(),
      type,
      ...(isLink ? { target } : {}),
      content: type === 'file' ? 'evil' : '',
      mode: random.below(0o10000),
      uid: random.below(3),
    };
  };
  return buildTar(random.list(1, 8, entry));
}

t.test('nothing outside the layer changes', async (t) => {
  const base = mkdtempSync('/tmp/berth-fuzz-');
  t.teardown(() => rmSync(base, { recursive: true, force: true }));
  assert.equal(base.length, PLACE.length);
  const outside = join(base, 'outside');
  mkdirSync(join(outside, 'sub'), { recursive: true });
  writeFileSync(join(outside, 'precious'), 'precious');
  symlinkSync('precious', join(outside, 'link'));
  const cwd = readdirSync('.').join();
  const dir = join(base, 'layer');
  const before = canaryOf(outside);
  const links = lstatSync('/etc/passwd').nlink;

  await fuzz(t, {
    name: 'layer',
    seeds: WAYS_OUT.map(buildTar),
    dictionary: words,
    generate: (random) => (random.once(4) ? writtenArchive(random).bytes : tangled(random)),
    repair: withChecksums,
    unitBytes: 512,
    maxBytes: 20_000,
    inputs: 1500,
    check(input, random) {
      const text = input.toString('latin1');
      const archive = text.includes(PLACE) ? withChecksums(Buffer.from(text.replaceAll(PLACE, base), 'latin1')) : input;
      mkdirSync(dir, { mode: 0o755 });
      try {
        return unpack(archive, dir, random);
      } finally {
        const open = openBelow(base);
        rmSync(dir, { recursive: true, force: true });
        assert.deepEqual(open, [], 'open descriptors');
        assert.deepEqual(canaryOf(outside), before, 'what is outside');
        assert.deepEqual(readdirSync(base), ['outside'], 'beside the layer');
        assert.equal(readdirSync('.').join(), cwd, 'in the working directory');
        assert.equal(lstatSync('/etc/passwd').nlink, links);
      }
    },
  });
});

function unpack(archive: Buffer, dir: string, random: Random): string {
  using writer = new LayerWriter(dir);
  const walker = new TarWalker(writer);
  try {
    for (const piece of random.pieces(archive, random.pick([100, 512, 5000]))) walker.push(piece);
    walker.finish();
    const { inodes, sizeBytes, diskBytes } = writer.finish();
    for (const count of [inodes, sizeBytes, diskBytes]) assert(Number.isSafeInteger(count) && count >= 0, `a count of ${count}`);
    const found = readdirSync(dir, { encoding: 'buffer' }).length;
    return `whole ${Math.min(found, 6)}`;
  } catch (error) {
    const code = errnoOf(error);
    if (!isRuntimeError(error) && code !== undefined && DISK_ERRORS.has(code)) return code;
    return refusal(error, 'unknown', 'IMAGE_LAYER');
  }
}
