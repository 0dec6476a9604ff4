/**
 * Layers that try to harm the node: whatever a tar says, nothing outside its
 * directory is touched. Around each there is a canary tree (beside, above,
 * and where absolute names and symlinks lead to), compared before and after
 * with everything a change would show in: content, metadata, change times.
 */
import { createHash } from 'node:crypto';
import { existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { buildTar, type TarEntry } from '../../../hack/lib/tar.ts';
import { UNPACK_LIMITS } from '../../../src/snapshot/bounds.ts';
import { TailProgress, type UnpackResult } from '../../../src/snapshot/index.ts';
import { stagedSplit } from '../../../src/snapshot/split.ts';
import { Tail } from '../../../src/snapshot/tail.ts';
import { unpackStream } from '../../../src/snapshot/unpack-stream.ts';
import { ARCHIVES, HARD_LINKS, type HostileLayer, NAMES, SPECIAL, SYMLINKS } from '../../fixtures/hostile-layers.ts';
import { readTree } from '../../fixtures/tree.ts';
import { scratch, unpack } from '../../fixtures/unpacking.ts';

/** A layer's directory with canaries around it, above, beside and far away. */
interface Grounds {
  dir: string;
  /** Named by hostile layers; holds `precious`. */
  outside: string;
  /** Everything but the layer itself, as text that any change changes. */
  witness(): Record<string, string>;
}

function grounds(t: Test): Grounds {
  const [base, far] = [scratch(t), scratch(t)];
  const dir = join(base, 'images/layers/tmp-1');
  const outside = join(base, 'images/layers/outside');
  for (const path of [dir, outside, join(base, 'images/layers/tmp-2'), join(far, 'sub')]) mkdirSync(path, { recursive: true });
  for (const path of [join(outside, 'precious'), join(base, 'images/precious'), join(base, 'precious'), join(far, 'precious')])
    writeFileSync(path, 'precious');
  linkSync(join(outside, 'precious'), join(outside, 'hard'));
  symlinkSync(far, join(outside, 'far'));
  return {
    dir,
    outside,
    witness: () => ({
      ...witnessOf(base, dir),
      ...witnessOf(far, dir),
      ...witnessOf(process.cwd(), dir, 0),
      ...witnessOf('/tmp/berth-escaped', dir, 0),
    }),
  };
}

/**
 * Every name at or below `path` (so many levels down), without the layer in
 * `except` and its split, which berth itself puts beside it: in their
 * directory nothing else may come or go.
 */
function witnessOf(path: string, except: string, levels = 20): Record<string, string> {
  if (path === except || path === stagedSplit(except) || !existsSync(path)) return {};
  const stat = lstatSync(path, { bigint: true });
  const { mode, uid, gid, nlink, ino, size, rdev, ctimeNs, mtimeNs } = stat;
  const times = path === dirname(except) ? [] : [size, ctimeNs, mtimeNs];
  const names = stat.isDirectory() ? readdirSync(path).filter((name) => join(path, name) !== stagedSplit(except)) : [];
  const content = stat.isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : names.join();
  const found = { [path]: [mode, uid, gid, nlink, ino, rdev, ...times, content].join(' ') };
  if (!stat.isDirectory() || levels === 0) return found;
  return Object.assign(found, ...names.map((name) => witnessOf(join(path, name), except, levels - 1)));
}

async function attempt(t: Test, what: string, layer: HostileLayer): Promise<void> {
  const { dir, outside, witness } = grounds(t);
  const before = witness();
  const unpacking = unpack(dir, gzipSync(layer.tar(outside)), scratch(t));
  if (layer.refused === undefined) await t.resolves(unpacking, `${what}: is harmless`);
  else await t.rejects(unpacking, { name: 'RuntimeError', reason: 'IMAGE_LAYER', message: layer.refused }, `${what}: is refused`);
  t.same(witness(), before, `${what}: nothing outside was touched`);
  if (layer.holds === undefined) return;
  const tree = readTree(dir);
  for (const [path, entry] of Object.entries(layer.holds)) {
    if (entry === undefined) t.notOk(tree.has(path), `${what}: there is no ${JSON.stringify(path)}`);
    else t.match(tree.get(path), entry, `${what}: ${JSON.stringify(path)}`);
  }
}

for (const [group, layers] of Object.entries({
  names: NAMES,
  symlinks: SYMLINKS,
  'hard links': HARD_LINKS,
  'special files': SPECIAL,
  archives: ARCHIVES,
})) {
  /** Ninety archives and their canaries take about a minute, and three on a busy machine. */
  const TIMEOUT_MS = 300_000;
  t.setTimeout(TIMEOUT_MS);
  t.comment(`timeout=${TIMEOUT_MS}`); // the same, for tap's runner

  t.test(`hostile ${group}`, async (t) => {
    for (const [what, layer] of Object.entries(layers)) await attempt(t, what, layer);
  });
}

t.test('the witness sees what it is there for', async (t) => {
  const changes: ((outside: string) => void)[] = [
    (outside) => writeFileSync(join(outside, 'precious'), 'Precious'),
    (outside) => writeFileSync(join(outside, '../planted'), ''),
    (outside) => linkSync(join(outside, 'precious'), join(outside, '../tmp-1/stolen')),
    (outside) => writeFileSync(join(outside, 'far/sub/planted'), ''),
  ];
  for (const change of changes) {
    const { outside, witness } = grounds(t);
    const before = witness();
    change(outside);
    t.notSame(witness(), before, String(change));
  }
});

t.test('replacing again and again costs no more than the entries do', async (t) => {
  const { dir, witness } = grounds(t);
  const before = witness();
  const same = buildTar([{ path: 'same', content: 'x' }]).subarray(0, 1024);
  const result = await unpack(
    dir,
    gzipSync(Buffer.concat([...Array<Buffer>(100_000).fill(same), Buffer.alloc(1024)]), { level: 1 }),
    scratch(t),
  );
  t.match(result, { inodes: 2, sizeBytes: 1, diskBytes: 2 * 4096 }, '100,000 files of one name are one file');
  t.same(witness(), before);

  const swapping = grounds(t);
  const many = Array.from({ length: 3000 }, (_, at): TarEntry => ({ path: `many/${at}/`, type: 'directory' }));
  const swaps = Array.from({ length: 1000 }, (): TarEntry[] => [
    { path: 'd/', type: 'directory' },
    { path: 'd/f/g', content: 'x' },
    { path: 'd', type: 'symlink', target: 'many' },
  ]).flat();
  const swapped = await unpack(swapping.dir, gzipSync(buildTar([...many, ...swaps]), { level: 1 }), scratch(t));
  t.match(swapped, { inodes: 3000 + 3, sizeBytes: 0, implied: ['', 'many'] }, 'a directory and a symlink in turn');
  t.equal(readTree(swapping.dir).get('d')?.type, 'symlink');
});

t.test('a directory tree as deep as it may be is replaced, with the descriptors there are', async (t) => {
  const { dir } = grounds(t);
  const deep = 'd/'.repeat(2000);
  const before = readdirSync('/proc/self/fd').length;
  await unpack(
    dir,
    buildTar([
      { path: `${deep}file`, content: 'x' },
      { path: 'd', content: 'gone' },
    ]),
    scratch(t),
  );
  t.match(readTree(dir).get('d'), { type: 'file', size: 4 });
  t.ok(readdirSync('/proc/self/fd').length <= before + 2);
});

t.test('directories that are only implied are bounded, since a name of one holds two thousand', async (t) => {
  const { dir, witness } = grounds(t);
  const before = witness();
  const entries = Array.from({ length: 20 }, (_, at): TarEntry => ({ path: `${at}/${'d/'.repeat(1900)}f`, content: 'x' }));
  await t.rejects(unpack(dir, gzipSync(buildTar(entries)), scratch(t)), {
    reason: 'IMAGE_LAYER',
    message: /names of directories that it implies.* more than 4194304 bytes/,
  });
  t.same(witness(), before);
});

t.test('a bomb ends early, by what it claims or by what comes', async (t) => {
  const limits = { ...UNPACK_LIMITS, freeBytes: 1024 * 1024, ratio: 200 };
  const zeros = (size: number): Buffer => buildTar([{ path: 'zeros', content: Buffer.alloc(size) }]);
  const bombs = { gzip: gzipSync(zeros(40_000_000)), zstd: zstdCompressSync(zeros(40_000_000)) };
  for (const [what, blob] of Object.entries(bombs)) {
    const small = join(scratch(t), 'blob');
    writeFileSync(small, blob);
    const run = (complete: boolean, dir: string): UnpackResult => {
      const progress = new TailProgress();
      progress.advance(blob.length);
      if (complete) progress.complete();
      return unpackStream(new Tail(small, progress.buffer), dir, limits);
    };
    const [claiming, coming] = [grounds(t), grounds(t)];
    const before = [claiming.witness(), coming.witness()];
    const claims = /"zeros", which claims 40000000 bytes, it unpacks to more than 1048576 bytes and 200 times/;
    t.throws(() => run(true, claiming.dir), { reason: 'IMAGE_LAYER', message: claims }, `${what}: refused by its claim`);
    t.same(readdirSync(claiming.dir), [], `${what}: before a byte was written`);
    const comes = { reason: 'IMAGE_LAYER', message: /as a bomb does/ };
    t.throws(() => run(false, coming.dir), comes, `${what}: the download goes on, the bomb does not`);
    const written = lstatSync(join(coming.dir, 'zeros')).size;
    t.ok(written > 0 && written < 1024 * 1024 + 200 * blob.length, `${what}: ${written} bytes were written`);
    t.same([claiming.witness(), coming.witness()], before);
  }
  const { dir } = grounds(t);
  const claim = Buffer.from(zeros(0));
  claim.write('77777777777', 124, 'latin1'); // 8 GiB
  const sum = claim.subarray(0, 512).reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  claim.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  await t.rejects(
    unpack(dir, gzipSync(claim), scratch(t)),
    { reason: 'IMAGE_LAYER', message: /"zeros", which claims 8589934591 bytes/ },
    'with the limits there really are',
  );
  t.same(readdirSync(dir), []);
});
