// A file system for one run of the benchmark: there, empty, and gone without a trace, also when it could not be made.
import '../../fixtures/private-netns.ts';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { mountFreshDisk, requireRoom } from '../../../hack/lib/bench/fresh-disk.ts';

function scratch(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'berth-fresh-disk-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const mounted = (dir: string) => readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${dir} `);
const loops = (dir: string) =>
  spawnSync('losetup', ['--all'], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter((line) => line.includes(dir));

t.test('an empty ext4, gone with its mount', async (t) => {
  const base = scratch(t);
  const dir = join(base, 'disk');
  const disk = mountFreshDisk(dir);
  t.same(readdirSync(dir), ['lost+found']);
  t.match(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(` ${dir} .* - ext4 /dev/loop`));
  t.same(readdirSync(base), ['disk'], 'the file behind it has no name any more');
  t.equal(loops(base).length, 1);
  writeFileSync(join(dir, 'file'), Buffer.alloc(8 << 20));
  await disk.end();
  t.notOk(mounted(dir));
  t.same(readdirSync(base), []);
  t.same(loops(base), [], 'its loop device is free');
});

t.test('a busy one is waited for, then said and detached', async (t) => {
  const base = scratch(t);
  const dir = join(base, 'disk');
  const disk = mountFreshDisk(dir);
  const fd = openSync(join(dir, 'held'), 'w');
  await t.rejects(disk.end(), { message: new RegExp(`^${dir} stayed busy for 10 s and was detached: umount: .*busy`) });
  t.notOk(mounted(dir));
  closeSync(fd);
  t.same(loops(base), [], 'freed with the last descriptor');
});

t.test('what cannot be made leaves nothing', async (t) => {
  const base = scratch(t);
  const path = process.env.PATH;
  t.teardown(() => {
    process.env.PATH = path;
  });
  process.env.PATH = base;
  t.throws(() => mountFreshDisk(join(base, 'disk')), { code: 'ENOENT', path: 'mkfs.ext4' });
  writeFileSync(join(base, 'mkfs.ext4'), '#!/bin/sh\necho "no such luck" >&2\nexit 3\n', { mode: 0o755 });
  t.throws(() => mountFreshDisk(join(base, 'disk')), { message: /^mkfs\.ext4 .*disk\.ext4 ended with 3: no such luck$/ });
  t.same(readdirSync(base), ['mkfs.ext4']);
});

t.test('too little room is said beforehand, with numbers', async (t) => {
  const small = join(scratch(t), 'small');
  mkdirSync(small);
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512m', 'tmpfs', small]);
  t.teardown(() => spawnSync('umount', [small]));
  t.ok(mounted(small));
  t.throws(() => requireRoom(small), {
    message: /2\.0 GiB in a file under .*small, where 3\.0 GiB should be free and 0\.5 GiB are: free some, or set TMPDIR/,
  });
  t.ok(existsSync(small));
});
