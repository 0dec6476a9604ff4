// The benchmark's images are the same on every machine and are like real ones in what costs time: how well they
// compress, how many members of which kind, in which order.
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { machineCode, noise, Random, text } from '../../../hack/lib/bench/content.ts';
import { growLayer, type LayerPlan } from '../../../hack/lib/bench/layer-content.ts';
import { digestOf } from '../../../hack/lib/image-builder.ts';
import { buildTar } from '../../../hack/lib/tar.ts';

const LOWER: LayerPlan = {
  seed: 7,
  roots: ['usr/lib', 'etc'],
  text: { files: 120, medianBytes: 800 },
  code: { files: 10, medianBytes: 4000 },
  noise: { files: 5, medianBytes: 1000 },
  symlinks: 6,
  hardLinks: 4,
  replaced: 0,
  removed: 0,
  emptied: 0,
  owner: 0,
};
const UPPER: LayerPlan = { ...LOWER, seed: 8, roots: ['srv'], symlinks: 0, hardLinks: 0, replaced: 5, removed: 4, emptied: 2, owner: 1000 };

t.test('the same plan gives the same bytes, another seed gives others', async (t) => {
  const digest = (plan: LayerPlan) => digestOf(buildTar(growLayer(plan, []).entries));
  t.equal(digest(LOWER), digest({ ...LOWER }));
  t.not(digest(LOWER), digest({ ...LOWER, seed: 9 }));
});

t.test('it compresses as real content does', async (t) => {
  const ratio = (make: (length: number, random: Random) => Buffer) => 400_000 / gzipSync(make(400_000, new Random(1))).length;
  const between = (value: number, low: number, high: number) => t.ok(value >= low && value <= high, `${value} is in ${low}..${high}`);
  between(ratio(text), 3, 4.5);
  between(ratio(machineCode), 2, 3);
  between(ratio(noise), 0.99, 1);
});

t.test('members are complete and in order', async (t) => {
  const { entries, paths } = growLayer(LOWER, []);
  const seen = new Set<string>();
  for (const { path, target, type = 'file' } of entries) {
    const parts = path.replace(/\/$/, '').split('/');
    const parent = parts.slice(0, -1).join('/');
    if (parent !== '' && !seen.has(`${parent}/`)) t.fail(`${path} comes before its directory`);
    if (type === 'hardlink' && !seen.has(target ?? '')) t.fail(`${path} comes before its target`);
    if (seen.has(path)) t.fail(`${path} comes twice`);
    seen.add(path);
  }
  const count = (kind: string) => entries.filter(({ type = 'file' }) => type === kind).length;
  t.same({ file: count('file'), symlink: count('symlink'), hardlink: count('hardlink') }, { file: 135, symlink: 6, hardlink: 4 });
  t.equal(paths.files.length, 135);
  t.ok(count('directory') > 10);
});

t.test('an upper layer changes what is below', async (t) => {
  const lower = growLayer(LOWER, []).paths;
  const { entries } = growLayer(UPPER, [lower]);
  const names = entries.map(({ path }) => path);
  const removed = names.filter((name) => /\/\.wh\.(?!\.wh\.)/.test(name)).map((name) => name.replace('/.wh.', '/'));
  t.ok(removed.length > 0 && removed.length <= 4);
  t.same(
    removed.filter((path) => !lower.files.includes(path)),
    [],
    'what is removed was there',
  );
  const emptied = names.filter((name) => name.endsWith('/.wh..wh..opq')).map((name) => name.slice(0, -'/.wh..wh..opq'.length));
  t.ok(emptied.length > 0);
  t.same(
    emptied.filter((path) => !lower.directories.includes(path)),
    [],
  );
  t.ok(names.filter((name) => lower.files.includes(name)).length > 0, 'and some is written anew');
  t.ok(entries.every(({ uid }) => uid === 1000));
});
