/** A layer and its tar split: the tar comes back byte for byte, and whatever is no longer as it was unpacked is named. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { buildTar, type TarEntry } from '../../../hack/lib/tar.ts';
import type { DiffId } from '../../../src/ids/index.ts';
import { createLogger } from '../../../src/log/index.ts';
import { type LayerRecord, LayerStore, TailProgress, Trash, unpackLayer } from '../../../src/snapshot/index.ts';
import { openStore } from '../../../src/store/index.ts';

const never = new AbortController().signal;

interface Store {
  base: string;
  layers: LayerStore;
  reopen(): LayerStore;
  splitOf(diffId: DiffId): string;
  /** Unpacks and publishes. */
  add(tar: Buffer): Promise<DiffId>;
}

function open(t: Test): Store {
  const base = mkdtempSync(join(tmpdir(), 'berth-split-'));
  const db = openStore({ path: join(base, 'berth.db') });
  const logger = createLogger({ level: 'silent' });
  const trash = new Trash(join(base, 'trash'), logger);
  const reopen = (): LayerStore => new LayerStore({ dir: join(base, 'layers'), table: db.table<LayerRecord>('layers'), trash, logger });
  const store: Store = {
    base,
    layers: reopen(),
    splitOf: (diffId) => join(base, 'splits', diffId.slice('sha256:'.length)),
    reopen() {
      store.layers = reopen();
      return store.layers;
    },
    async add(tar) {
      const part = join(base, 'part');
      writeFileSync(part, gzipSync(tar));
      const progress = new TailProgress();
      progress.advance(lstatSync(part).size);
      progress.complete();
      using staging = store.layers.stage();
      const { diffId, ...content } = await unpackLayer({ part, progress, dir: staging.dir, signal: never });
      store.layers.publish(diffId as DiffId, staging, content);
      return diffId as DiffId;
    },
  };
  t.teardown(async () => {
    await store.layers.close();
    await trash.close();
    db[Symbol.dispose]();
    rmSync(base, { recursive: true, force: true });
  });
  return store;
}

const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function assembled(store: Store, diffId: DiffId): Promise<Buffer> {
  const to = join(store.base, 'assembled');
  rmSync(to, { force: true });
  await store.layers.assemble(diffId, to, never);
  return readFileSync(to);
}

const LONG = `${'long/'.repeat(40)}name`;
const ENTRIES: TarEntry[] = [
  { path: './', type: 'directory', mode: 0o750, uid: 5, gid: 6, mtime: 1000.25 },
  { path: 'dir/', type: 'directory', mode: 0o2555, mtime: 1234.5 },
  { path: 'dir/big', content: Buffer.alloc(1_000_001, 'abc'), mode: 0o6755, uid: 1, gid: 2, mtime: 99 },
  { path: 'dir/noted', content: 'x', xattrs: { 'user.note': 'n', 'trusted.overlay.opaque': 'y' } },
  { path: 'dir/hard', type: 'hardlink', target: 'dir/big' },
  { path: 'link', type: 'symlink', target: '/dir', mtime: 55 },
  { path: 'link/through', content: 'through a symlink' },
  { path: 'fifo', type: 'fifo', mode: 0o622 },
  { path: 'null', type: 'char', device: [1, 3] },
  { path: LONG, content: 'long' },
  { path: 'made/up/file', content: 'f' },
  { path: 'gone/.wh.file' },
  { path: 'hidden/.wh..wh..opq' },
  { path: 'empty' },
  { path: 'caf\u00e9', content: 'utf-8' },
];

t.test('a layer that was unpacked gives its tar back and is whole', async (t) => {
  const store = open(t);
  const tar = buildTar(ENTRIES);
  const diffId = await store.add(tar);
  t.same(await store.layers.verify(diffId, never), []);
  t.ok((await assembled(store, diffId)).equals(tar), 'byte for byte');
  t.equal(diffId, digestOf(tar));
  const split = lstatSync(store.splitOf(diffId));
  t.ok(split.size < 4096, 'a split is small');
  t.ok(store.reopen().isWhole(diffId), 'the split is part of the store after a restart');
  t.ok((await assembled(store, diffId)).equals(tar));
});

t.test('archives of GNU tar in all its formats, with what follows the end mark', async (t) => {
  const store = open(t);
  const source = join(store.base, 'source');
  mkdirSync(join(source, 'a/b'), { recursive: true });
  for (let at = 0; at < 300; at += 1) writeFileSync(join(source, 'a/b', `file-${at}`), `content ${at}\n`.repeat(at));
  linkSync(join(source, 'a/b/file-7'), join(source, 'seven'));
  symlinkSync('a/b', join(source, 'short'));
  for (const format of ['ustar', 'gnu', 'pax', 'v7']) {
    const tar = execFileSync('tar', ['--format', format, '-C', source, '-c', '.'], { maxBuffer: 1 << 26 });
    const longer = Buffer.concat([tar, Buffer.from('garbage behind the end')]);
    for (const archive of [tar, longer]) {
      const diffId = await store.add(archive);
      t.same(await store.layers.verify(diffId, never), [], format);
      t.ok((await assembled(store, diffId)).equals(archive), format);
    }
  }
});

t.test('every kind of damage is named, and the layer counts as damaged until it is replaced', async (t) => {
  const store = open(t);
  const tar = buildTar(ENTRIES);
  const diffId = await store.add(tar);
  const dir = store.layers.pathOf(diffId);
  const damages: [string, () => void, RegExp][] = [
    ['a flipped byte', () => patch(join(dir, 'dir/big')), /"dir\/big": its content is not what it was/],
    ['a truncated file', () => truncated(join(dir, 'dir/big')), /"dir\/big": its size is 10, not 1000001 bytes/],
    ['a longer file', () => appendFileSync(join(dir, 'empty'), 'x'), /"empty": its size is 1, not 0 bytes/],
    ['a missing file', () => unlinkSync(join(dir, LONG)), /name": it is missing/],
    ['another mode', () => chmodSync(join(dir, 'dir/big'), 0o644), /"dir\/big": its mode is 644, not 6755/],
    ['another owner', () => chownSync(join(dir, 'dir'), 9, 9), /"dir": its owner is 9:9, not 0:0/],
    ['another time', () => utimesSync(join(dir, 'made/up/file'), 5, 5), /"made\/up\/file": its modification time is another/],
    ['a file too many', () => writeFileSync(join(dir, 'made/more'), ''), /"made\/more": it is not of the layer/],
    ['another target', () => retarget(join(dir, 'link')), /"link": it points elsewhere/],
    ['a broken link', () => relink(join(dir, 'dir/hard')), /"dir\/hard": it is no longer linked to "dir\/big"/],
    ['a lost whiteout', () => unlinkSync(join(dir, 'gone/file')), /"gone\/file": it is no whiteout any more/],
    ['a file for a directory', () => swapped(join(dir, 'made')), /"made\/up\/file": it is missing/],
    ['a damaged split', () => patch(store.splitOf(diffId)), /tar split is damaged|checksum/],
    ['a missing split', () => unlinkSync(store.splitOf(diffId)), /its directory or its tar split is missing/],
    ['a missing directory', () => rmSync(dir, { recursive: true }), /its directory or its tar split is missing/],
  ];
  for (const [name, damage, expected] of damages) {
    damage();
    t.match((await store.layers.verify(diffId, never)).join('\n'), expected, name);
    t.notOk(store.layers.isWhole(diffId), name);
    if (name === 'a missing directory') break;
    await store.add(tar);
    t.same(await store.layers.verify(diffId, never), [], `${name}: the same layer brought again replaces it`);
    t.ok(store.layers.isWhole(diffId));
    t.ok((await assembled(store, diffId)).equals(tar));
  }
});

t.test('what a damaged layer would give is not given, and a reader of the replaced one keeps it', async (t) => {
  const store = open(t);
  const diffId = await store.add(buildTar(ENTRIES));
  const dir = store.layers.pathOf(diffId);
  patch(join(dir, 'dir/big'));
  await t.rejects(store.layers.assemble(diffId, join(store.base, 'out'), never), {
    reason: 'IMAGE_LAYER',
    message: /"dir\/big": its content is not what it was/,
  });
  await store.layers.verify(diffId, never);
  const inode = lstatSync(dir).ino;
  await store.add(buildTar(ENTRIES));
  t.not(lstatSync(dir).ino, inode);
  const retired = (): string[] => execFileSync('ls', [join(store.base, 'layers')], { encoding: 'utf8' }).match(/^tmp-\S+$/gm) ?? [];
  t.equal(retired().length, 1, 'the damaged one stays for containers that use it');
  t.equal(lstatSync(join(store.base, 'layers', retired()[0]!)).ino, inode);
  store.reopen();
  t.equal(retired().length, 1, 'also after a restart');
  store.layers.drop(diffId);
  t.equal(retired().length, 0, 'and goes with the layer');
});

t.test('a file that the archive holds twice: the layer is whole, its tar cannot be had', async (t) => {
  const store = open(t);
  const tar = buildTar([
    { path: 'twice', content: 'first' },
    { path: 'dir/x', content: 'x' },
    { path: 'dir', content: 'a file now' },
    { path: 'twice', content: 'second' },
  ]);
  const diffId = await store.add(tar);
  t.same(await store.layers.verify(diffId, never), []);
  await t.rejects(store.layers.assemble(diffId, join(store.base, 'out'), never), { message: /holds "twice" more than once/ });
});

t.test('an absolute symlink in a layer shows nothing of the host', async (t) => {
  const store = open(t);
  const diffId = await store.add(
    buildTar([
      { path: 'etc', type: 'symlink', target: '/etc' },
      { path: 'file', content: 'x' },
    ]),
  );
  t.same(await store.layers.verify(diffId, never), []);
});

function patch(path: string): void {
  const { mtime, atime } = lstatSync(path);
  const bytes = readFileSync(path);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  utimesSync(path, atime, mtime);
}

function truncated(path: string): void {
  const { mtime, atime } = lstatSync(path);
  writeFileSync(path, readFileSync(path).subarray(0, 10));
  utimesSync(path, atime, mtime);
}

function retarget(path: string): void {
  unlinkSync(path);
  symlinkSync('/elsewhere', path);
}

function relink(path: string): void {
  const bytes = readFileSync(path);
  unlinkSync(path);
  writeFileSync(path, bytes);
}

function swapped(path: string): void {
  rmSync(path, { recursive: true });
  writeFileSync(path, '');
}
