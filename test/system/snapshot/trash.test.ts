/** Deleting what containers and layers leave, however they made it, and counting it before. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createLogger } from '../../../src/log/index.ts';
import { Trash, usage } from '../../../src/snapshot/index.ts';
import { bindMount, unmount } from '../../../src/sys/index.ts';

/** Deeper than a path can be long, and than this process may have descriptors. */
const DEEP = 25_000;

function place(t: Test): { base: string; trash: Trash; dir: string } {
  const base = mkdtempSync(join(tmpdir(), 'berth-trash-'));
  const dir = join(base, 'trash');
  const trash = new Trash(dir, createLogger({ level: 'silent' }));
  t.teardown(async () => {
    await trash.empty();
    await trash.close();
    rmSync(base, { recursive: true, force: true });
  });
  return { base, trash, dir };
}

function makeDeep(top: string): void {
  const home = process.cwd();
  mkdirSync(top);
  process.chdir(top);
  try {
    for (let level = 0; level < DEEP; level += 1) {
      mkdirSync('d');
      process.chdir('d');
    }
    writeFileSync('bottom', 'x');
  } finally {
    process.chdir(home);
  }
}

t.test('a tree of any depth is counted as far as paths reach, and deleted whole', async (t) => {
  const { base, trash, dir } = place(t);
  const deep = join(base, 'deep');
  makeDeep(deep);
  symlinkSync('/etc/passwd', join(deep, 'link'));
  writeFileSync(Buffer.concat([Buffer.from(`${deep}/`), Buffer.from([0xff, 0xfe])]), 'no UTF-8');
  t.ok((await usage(deep)).inodesUsed > 1000n, 'a depth without end does not hide what is above it');
  trash.discard(deep);
  await trash.empty();
  t.same(readdirSync(dir), []);
});

t.test('a tree that cannot be deleted does not keep the others', async (t) => {
  const { base, trash, dir } = place(t);
  const stuck = ['a', 'b', 'c'].map((name) => join(base, name));
  for (const path of [...stuck, ...['x', 'y', 'z'].map((name) => join(base, name))]) {
    mkdirSync(path);
    trash.discard(path);
  }
  const [held = ''] = readdirSync(dir); // the first to be tried
  bindMount(join(dir, held), join(dir, held));
  t.teardown(() => unmount(join(dir, held), { detach: true }));
  await trash.empty();
  t.same(readdirSync(dir), [held]);
  unmount(join(dir, held));
  await trash.empty();
  t.same(readdirSync(dir), []);
});
