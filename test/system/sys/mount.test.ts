/** Real mounts below a temporary directory; everything is gone at the end of each test. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { bindMount, makePrivate, mountsUnder, mountTmpfs, parseMountinfo, unmount } from '../../../src/sys/index.ts';

function scratch(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'berth mount-')); // the space is escaped in mountinfo
  t.teardown(() => {
    for (const target of mountsUnder(directory)) unmount(target, { detach: true });
    rmSync(directory, { recursive: true });
  });
  for (const name of ['a', 'b', 'c']) mkdirSync(join(directory, name));
  return directory;
}

const entryOf = (target: string) =>
  parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')).findLast((entry) => entry.target === target);

t.test('a bind mount shows the source, and read-only keeps its other restrictions', async (t) => {
  const directory = scratch(t);
  const [source, target] = [join(directory, 'a'), join(directory, 'b')];
  mountTmpfs(source, { sizeBytes: 65_536, mode: 0o750 });
  writeFileSync(join(source, 'file'), 'x');
  bindMount(source, target);
  writeFileSync(join(target, 'second'), 'y');
  unmount(target);
  bindMount(source, target, { readonly: true });
  t.same(readdirSync(target), ['file', 'second']);
  t.throws(() => writeFileSync(join(target, 'file'), 'z'), { code: 'EROFS' });
  writeFileSync(join(source, 'file'), 'z'); // only the bind is read-only
  t.match(entryOf(target)?.options.toSorted(), ['nodev', 'noexec', 'nosuid', 'relatime', 'ro']);
});

t.test('recursive binds take submounts along, read-only too; plain ones do not', async (t) => {
  const directory = scratch(t);
  const [source, target] = [join(directory, 'a'), join(directory, 'b')];
  mkdirSync(join(source, 'sub'));
  mountTmpfs(join(source, 'sub'), { sizeBytes: 65_536, mode: 0o755 });
  writeFileSync(join(source, 'sub/file'), '');
  bindMount(source, target);
  t.same(readdirSync(join(target, 'sub')), []);
  unmount(target);
  bindMount(source, target, { recursive: true, readonly: true });
  t.same(readdirSync(join(target, 'sub')), ['file']);
  t.throws(() => writeFileSync(join(target, 'sub/file'), 'x'), { code: 'EROFS' });
});

t.test('a tmpfs has the size and mode asked for', async (t) => {
  const target = join(scratch(t), 'a');
  mountTmpfs(target, { sizeBytes: 1_048_576, mode: 0o1777 });
  const { bsize, blocks } = statfsSync(target);
  t.equal(bsize * blocks, 1_048_576);
  t.equal(statSync(target).mode & 0o7777, 0o1777);
});

t.test('unmounting what is not mounted or not there is success, a symbolic link is not followed', async (t) => {
  const directory = scratch(t);
  const target = join(directory, 'a');
  unmount(target);
  unmount(join(directory, 'nothing'));
  mountTmpfs(target, { sizeBytes: 65_536, mode: 0o755 });
  symlinkSync(target, join(directory, 'link'));
  unmount(join(directory, 'link'));
  t.same(mountsUnder(directory), [target]);
  unmount(target);
  t.same(mountsUnder(directory), []);
});

t.test('a mount in use is told, and goes with detach', async (t) => {
  const directory = scratch(t);
  const outer = join(directory, 'a');
  mountTmpfs(outer, { sizeBytes: 65_536, mode: 0o755 });
  mkdirSync(join(outer, 'inner'));
  mountTmpfs(join(outer, 'inner'), { sizeBytes: 65_536, mode: 0o755 });
  t.throws(() => unmount(outer), { name: 'RuntimeError', reason: 'MOUNT_FAILED', detail: { errno: 'EBUSY' } });
  unmount(outer, { detach: true });
  t.same(mountsUnder(directory), []);
});

t.test('mounts are listed deepest first, stacked ones twice, and neighbours with the same beginning not', async (t) => {
  const directory = scratch(t);
  const [a, b] = [join(directory, 'a'), join(directory, 'b')];
  mountTmpfs(a, { sizeBytes: 65_536, mode: 0o755 });
  mkdirSync(join(a, 'x'));
  mountTmpfs(join(a, 'x'), { sizeBytes: 65_536, mode: 0o755 });
  mountTmpfs(b, { sizeBytes: 65_536, mode: 0o755 });
  mountTmpfs(b, { sizeBytes: 65_536, mode: 0o755 });
  mkdirSync(`${a}-neighbour`);
  mountTmpfs(`${a}-neighbour`, { sizeBytes: 65_536, mode: 0o755 });
  t.same(mountsUnder(a), [join(a, 'x'), a]);
  t.same(mountsUnder(b), [b, b]);
  for (const target of mountsUnder(directory)) unmount(target);
  t.same(mountsUnder(directory), []);
});

t.test('a private directory is made once and keeps mounts to itself', async (t) => {
  const directory = scratch(t);
  makePrivate(join(directory, 'a'));
  makePrivate(join(directory, 'a'));
  t.same(mountsUnder(directory), [join(directory, 'a')]);
  t.same(entryOf(join(directory, 'a'))?.propagation, []);
});

t.test('failures name the objects and the error', async (t) => {
  const directory = scratch(t);
  const expected = { name: 'RuntimeError', reason: 'MOUNT_FAILED', message: /\/nowhere at .*: ENOENT/ };
  t.throws(() => bindMount('/nowhere', join(directory, 'a')), expected);
  t.throws(() => makePrivate('/nowhere'), { name: 'RuntimeError', reason: 'MOUNT_FAILED' });
  t.throws(() => mountTmpfs('/nowhere', { sizeBytes: 1, mode: 0 }), { name: 'RuntimeError', reason: 'MOUNT_FAILED' });
  t.same(mountsUnder(directory), []);
});
