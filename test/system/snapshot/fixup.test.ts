/** Layers that need each other: what an overlay of them shows is what extracting them one after the other gives. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { buildTar, type TarEntry } from '../../../hack/lib/tar.ts';
import { makeFixup } from '../../../src/snapshot/fixup.ts';
import { gnuTar, umoci } from '../../fixtures/oracles.ts';
import { gnuSparse, rawTar } from '../../fixtures/raw-tar.ts';
import { differences, readTree, type Tree } from '../../fixtures/tree.ts';
import { mountLayers, type Stack, scratch, unpack } from '../../fixtures/unpacking.ts';

/** What no reader of these layers was told, so that each has its own: times of directories that were only implied, or of the root. */
function withoutTimes(tree: Tree, paths: readonly string[]): Tree {
  for (const path of paths) {
    const entry = tree.get(path);
    if (entry !== undefined) entry.mtime = 'not compared';
  }
  return tree;
}

async function sameAsUmoci(t: Test, layers: readonly (readonly TarEntry[])[], untold: readonly string[] = []): Promise<Stack> {
  const base = scratch(t);
  const tars = layers.map(buildTar);
  const stack = await mountLayers(t, base, tars);
  const [is, should] = [readTree(stack.target), readTree(await umoci(base, tars))].map((tree) => withoutTimes(tree, ['', ...untold]));
  t.same(differences(is!, should!), []);
  return stack;
}

const CAPABILITY = Buffer.from('0100000200040000000000000000000000000000', 'hex');
const BASE: TarEntry[] = [
  { path: './', type: 'directory', mtime: 7 },
  { path: 'bin/', type: 'directory', mode: 0o751, uid: 3, mtime: 100 },
  {
    path: 'bin/tool',
    content: 'tool',
    mode: 0o4755,
    uid: 1,
    gid: 2,
    mtime: 12.25,
    xattrs: { 'security.capability': CAPABILITY, 'user.note': 'n' },
  },
  { path: 'bin/other', content: 'other' },
  { path: 'lib', type: 'symlink', target: 'usr/lib' },
  { path: 'usr/', type: 'directory', mtime: 1 },
  { path: 'usr/lib/', type: 'directory', mode: 0o2775, gid: 50, mtime: 2 },
  { path: 'usr/lib/so', content: 'library', mtime: 3.5 },
  { path: 'link', type: 'symlink', target: 'bin/tool', uid: 4, mtime: 5 },
  { path: 'null', type: 'char', device: [1, 3], mode: 0o666 },
  { path: 'fifo', type: 'fifo', mode: 0o640, gid: 9 },
  { path: 'tmp/', type: 'directory', mode: 0o1777, mtime: 6 },
];

t.test('a hard link to a file of a lower layer is one file with it', async (t) => {
  const stack = await sameAsUmoci(t, [
    BASE,
    [
      { path: 'bin/', type: 'directory', mode: 0o755, mtime: 200 },
      { path: 'bin/alias', type: 'hardlink', target: 'bin/tool' },
      { path: 'sbin/', type: 'directory', mtime: 300 },
      { path: 'sbin/again', type: 'hardlink', target: '/bin/tool' },
      { path: 'sbin/chained', type: 'hardlink', target: 'sbin/again' },
      { path: 'symlink-alias', type: 'hardlink', target: 'link' },
      { path: 'null-alias', type: 'hardlink', target: 'null' },
      { path: 'fifo-alias', type: 'hardlink', target: 'fifo' },
    ],
  ]);
  const tree = readTree(stack.target);
  t.match(tree.get('sbin/chained'), { linkedWith: 'bin/alias', mode: '4755', owner: '1:2', mtime: '12.250000000' });
  t.equal(tree.get('bin/tool')?.linkedWith, 'bin/alias');
  t.same(tree.get('bin/alias')?.xattrs, [`security.capability=${CAPABILITY.toString('hex')}`, 'user.note=6e']);
  t.match(stack.fixup, { sizeBytes: 4, inodes: 4 + 3 }, 'four files; the root, bin and sbin');
  t.equal(stack.layers[1]!.content.sizeBytes, 0);
});

t.test('the target is looked for as the layers below show it', async (t) => {
  await sameAsUmoci(
    t,
    [
      BASE,
      [
        { path: 'bin/tool', content: 'newer', mtime: 50 },
        { path: 'bin/', type: 'directory', mtime: 100 },
      ],
      [
        { path: 'new/', type: 'directory', mtime: 1 },
        { path: 'new/tool', type: 'hardlink', target: 'bin/tool' },
        { path: 'new/so', type: 'hardlink', target: 'lib/so' },
      ],
      [{ path: 'top', type: 'hardlink', target: 'new/tool' }],
    ],
    ['bin', 'usr/lib'],
  );
});

t.test('what upper layers hide of link and target stays hidden', async (t) => {
  const link: TarEntry[] = [
    { path: 'd/', type: 'directory', mtime: 9 },
    ...['kept', 'removed', 'replaced', 'below-opaque/x', 'below-removed/x', 'became-directory'].map(
      (name): TarEntry => ({ path: `d/${name}`, type: 'hardlink', target: 'bin/tool' }),
    ),
    { path: 'd/of-other', type: 'hardlink', target: 'bin/other' },
  ];
  const upper: TarEntry[] = [
    { path: 'd/', type: 'directory', mtime: 9 },
    { path: 'd/.wh.removed' },
    { path: 'd/replaced', content: 'mine' },
    { path: 'd/below-opaque/', type: 'directory', mtime: 8 },
    { path: 'd/below-opaque/.wh..wh..opq' },
    { path: 'd/.wh.below-removed' },
    { path: 'd/became-directory/', type: 'directory', mtime: 8 },
    { path: 'd/became-directory/in-it', content: 'i' },
    { path: 'bin/', type: 'directory', mtime: 8 },
    { path: 'bin/.wh.tool' },
    { path: 'bin/other', content: 'another other' },
  ];
  const stack = await sameAsUmoci(t, [BASE, link, upper]);
  const tree = readTree(stack.fixupDir);
  t.same([...tree.keys()], ['', 'd', 'd/kept', 'd/of-other'], 'only what shows is copied');
  t.equal(tree.get('d/kept')?.linkedWith, undefined, 'the target is gone: nothing to be linked with');
});

t.test('a link that nobody sees needs no target, one that shows does', async (t) => {
  const base = scratch(t);
  const dangling = buildTar([{ path: 'a/b', type: 'hardlink', target: 'nowhere/to' }]);
  const stack = await mountLayers(t, base, [buildTar(BASE), dangling, buildTar([{ path: 'a/b', content: 'replaced' }])]);
  t.equal(readFileSync(join(stack.target, 'a/b'), 'utf8'), 'replaced');
  const refused = (message: RegExp) => ({ name: 'RuntimeError', reason: 'IMAGE_LAYER', message });
  for (const [what, target] of Object.entries({
    nothing: 'nowhere/to',
    'a directory': 'usr/lib',
    'what a whiteout hides': 'bin/tool',
    'what is below a file': 'bin/other/x',
    'what an opaque directory hides': 'usr/lib/so',
  })) {
    const hiding = buildTar([{ path: 'bin/.wh.tool' }, { path: 'usr/lib/.wh..wh..opq' }]);
    const tars = [buildTar(BASE), hiding, buildTar([{ path: 'a/link', type: 'hardlink', target }])];
    await t.rejects(mountLayers(t, scratch(t), tars), refused(new RegExp(`"a/link" is a hard link to "${target}", which neither`)), what);
  }
  const opaque = [buildTar(BASE), buildTar([{ path: '.wh..wh..opq' }]), buildTar([{ path: 'link', type: 'hardlink', target: 'bin/tool' }])];
  await t.rejects(mountLayers(t, scratch(t), opaque), refused(/hard link/), 'what an opaque root hides');
  const loop = [buildTar([{ path: 'l', type: 'symlink', target: 'l' }]), buildTar([{ path: 'x', type: 'hardlink', target: 'l/y' }])];
  await t.rejects(mountLayers(t, scratch(t), loop), refused(/hard link/), 'a target behind a symlink that leads in a circle');
  const out = join(base, 'outside');
  writeFileSync(out, 'outside');
  const escaping = [
    buildTar([{ path: 'l', type: 'symlink', target: base }]),
    buildTar([{ path: 'x', type: 'hardlink', target: 'l/outside' }]),
  ];
  await t.rejects(mountLayers(t, scratch(t), escaping), refused(/hard link/), 'a symlink leads nowhere but into the layers');
});

t.test('within its layer a link to a lower one can be replaced, hidden and linked again', async (t) => {
  const stack = await sameAsUmoci(t, [
    BASE,
    [
      { path: 'x/', type: 'directory', mtime: 1 },
      { path: 'x/replaced', type: 'hardlink', target: 'bin/tool' },
      { path: 'x/replaced', content: 'file' },
      { path: 'x/dir', type: 'hardlink', target: 'bin/tool' },
      { path: 'x/dir/', type: 'directory', mtime: 1 },
      { path: 'x/gone/', type: 'directory' },
      { path: 'x/gone/link', type: 'hardlink', target: 'bin/tool' },
      { path: 'x/gone', content: 'file' },
      { path: 'x/twice', type: 'hardlink', target: 'bin/other' },
      { path: 'x/twice', type: 'hardlink', target: 'bin/tool' },
    ],
  ]);
  t.same(stack.layers[1]!.content.lowerLinks, [{ path: 'x/twice', target: 'bin/tool' }]);
});

t.test('a file linked before a symlinked directory is found at its own path', async (t) => {
  const stack = await sameAsUmoci(
    t,
    [
      BASE,
      [
        { path: 's', type: 'symlink', target: 'bin', mtime: 1 },
        { path: 's/alias', type: 'hardlink', target: 's/tool' },
      ],
    ],
    ['bin'],
  );
  t.same(stack.layers[1]!.content, { ...stack.layers[1]!.content, lowerLinks: [{ path: 'bin/alias', target: 'bin/tool' }] });
});

t.test('holes of a linked file stay holes, and its content comes whole', async (t) => {
  const base = scratch(t);
  const sparse = rawTar(
    gnuSparse(
      { name: 'sparse', mtime: 5 },
      50_000_000,
      [
        [8192, 512],
        [40_000_000, 4],
        [50_000_000, 0],
      ],
      `${'h'.repeat(512)}abcd`,
    ),
  );
  const upper = buildTar([{ path: 'alias', type: 'hardlink', target: 'sparse' }]);
  const stack = await mountLayers(t, base, [sparse, upper]);
  const file = join(base, 'archive');
  writeFileSync(file, sparse);
  writeFileSync(`${file}2`, upper);
  const expected = readTree(await gnuTar(join(base, 'gnu'), [file, `${file}2`]));
  t.same(differences(withoutTimes(readTree(stack.target), ['']), withoutTimes(expected, [''])), []);
  t.match(stack.fixup, { sizeBytes: 8192, inodes: 2 });
});

t.test('the digest names the content: equal for the same layers, another for others', async (t) => {
  const link = (target: string): TarEntry[] => [{ path: 'alias', type: 'hardlink', target }];
  const digests = new Map<string, string | undefined>();
  const digest = async (name: string, upper: TarEntry[]): Promise<void> => {
    const base = scratch(t);
    const dirs = await Promise.all(
      [BASE, upper].map(async (entries) => {
        const tar = buildTar(entries);
        const staged = join(base, `staged-${entries.length}`);
        mkdirSync(staged);
        const content = await unpack(staged, tar);
        return { dir: join(base, content.diffId.slice(7)), staged, content };
      }),
    );
    for (const { dir, staged } of dirs) renameSync(staged, dir);
    mkdirSync(join(base, 'fixup'));
    const layers = dirs
      .toReversed()
      .map(({ dir, content }) => ({ dir, implied: new Set(content.implied), lowerLinks: content.lowerLinks, opaqueRoot: false }));
    digests.set(name, makeFixup(layers, join(base, 'fixup'))?.digest);
  };
  await digest('tool', link('bin/tool'));
  await digest('tool again', link('bin/tool'));
  await digest('other', link('bin/other'));
  await digest('tmp', [{ path: 'tmp/file', content: 'x' }]);
  t.equal(digests.get('tool'), digests.get('tool again'));
  t.equal(new Set(digests.values()).size, 3);
  t.match(digests.get('tool'), /^sha256:[0-9a-f]{64}$/);
});

t.test('directories that upper layers only imply keep what lower ones say of them', async (t) => {
  const lower: TarEntry[] = [
    ...BASE,
    { path: 'srv/', type: 'directory', mode: 0o2711, uid: 8, gid: 9, mtime: 44.5, xattrs: { 'user.note': 'n' } },
    { path: 'srv/deep/', type: 'directory', mode: 0o700, mtime: 45 },
  ];
  const upper: TarEntry[] = [
    { path: 'tmp/file', content: 'x' },
    { path: 'srv/deep/er/file', content: 'x' },
  ];
  // umoci sets the time of the last directory back to what it was, not of those above it
  const stack = await sameAsUmoci(t, [lower, upper], ['srv/deep', 'srv/deep/er']);
  t.match(readTree(stack.target).get('tmp'), { mode: '1777', mtime: '6.000000000' });
  t.match(readTree(stack.target).get('srv/deep'), { mode: '0700', mtime: '45.000000000' });
  t.same([...readTree(stack.fixupDir).keys()], ['', 'srv', 'srv/deep', 'tmp']);
  const again = await sameAsUmoci(
    t,
    [lower, upper, [{ path: 'srv/', type: 'directory', mode: 0o755, mtime: 1 }]],
    ['srv/deep', 'srv/deep/er'],
  );
  t.match(readTree(again.target).get('srv'), { mode: '0755' }, 'what an upper layer says itself counts');
});
