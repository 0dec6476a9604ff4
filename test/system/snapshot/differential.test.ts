/**
 * What berth makes of an archive is what others make of it, path by path with
 * all metadata: GNU tar for archives written by GNU tar and Python, umoci for
 * layers on top of each other. Where berth differs on purpose, the difference
 * is in a table here, with its reason.
 */
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { buildTar, type TarEntry } from '../../../hack/lib/tar.ts';
import { dataParts } from '../../../src/sys/index.ts';
import { makeOddTree, type OddTreeOptions } from '../../fixtures/odd-tree.ts';
import { gnuTar, succeed, umoci } from '../../fixtures/oracles.ts';
import { randomLayers } from '../../fixtures/random-layers.ts';
import { differences, readTree } from '../../fixtures/tree.ts';
import { mountLayers, scratch, unpack } from '../../fixtures/unpacking.ts';

const ALL: OddTreeOptions = { longNames: true, largeOwners: true, oldTimes: true };
const PLAIN: OddTreeOptions = { longNames: false, largeOwners: false, oldTimes: false };

/** Archives that GNU tar writes, each with what its dialect can say. */
const GNU_ARCHIVES: Record<string, { flags: string[]; tree: OddTreeOptions }> = {
  v7: { flags: ['--format=v7'], tree: PLAIN },
  ustar: { flags: ['--format=ustar'], tree: PLAIN },
  oldgnu: { flags: ['--format=oldgnu'], tree: ALL },
  gnu: { flags: ['--format=gnu'], tree: ALL },
  'gnu, sparse': { flags: ['--format=gnu', '--sparse'], tree: ALL },
  'gnu, numbers in base 256, label': { flags: ['--format=gnu', '--label=a volume'], tree: ALL },
  'pax with attributes': { flags: ['--format=pax', '--xattrs', '--xattrs-include=*'], tree: ALL },
  'pax 0.0 sparse': { flags: ['--format=pax', '--sparse', '--sparse-version=0.0'], tree: ALL },
  'pax 0.1 sparse': { flags: ['--format=pax', '--sparse', '--sparse-version=0.1'], tree: ALL },
  'pax 1.0 sparse, attributes': {
    flags: ['--format=pax', '--sparse', '--sparse-version=1.0', '--xattrs', '--xattrs-include=*'],
    tree: ALL,
  },
  'pax for all members': { flags: ['--format=pax', '--pax-option=globexthdr.name=global,comment=hello,uid=77'], tree: ALL },
  'hard links as files': { flags: ['--format=gnu', '--hard-dereference'], tree: ALL },
  'in another order': { flags: ['--format=gnu', '--sort=inode'], tree: ALL },
};

/** Why v7 archives have no devices: GNU tar leaves them out with a warning. */
const V7_LEAVES_OUT = ['null', 'disk', 'fifo'];

async function sameAsGnuTar(t: Test, archive: string, what: string): Promise<void> {
  const base = scratch(t);
  const dir = join(base, 'layer');
  mkdirSync(dir);
  const result = await unpack(dir, readFileSync(archive));
  const [is, should] = [readTree(dir), readTree(await gnuTar(join(base, 'gnu'), [archive]))];
  t.same(differences(is, should), [], what);
  t.equal(result.inodes, is.size - extraNames(is), `${what}: inodes are counted`);
}

/** Names beyond the first of each file. */
function extraNames(tree: ReturnType<typeof readTree>): number {
  return [...tree].filter(([path, { linkedWith }]) => linkedWith !== undefined && linkedWith !== path).length;
}

t.test('archives of GNU tar, in all its dialects', async (t) => {
  for (const [what, { flags, tree }] of Object.entries(GNU_ARCHIVES)) {
    const base = scratch(t);
    mkdirSync(join(base, 'tree'));
    makeOddTree(join(base, 'tree'), tree);
    const archive = join(base, 'archive.tar');
    const leftOut = what === 'v7' ? V7_LEAVES_OUT.map((name) => `--exclude=./${name}`) : [];
    await succeed('tar', ['--create', ...flags, ...leftOut, '--numeric-owner', '--file', archive, '--directory', join(base, 'tree'), '.']);
    await sameAsGnuTar(t, archive, what);
  }
});

/** Where a file has data. */
function partsOf(path: string): { offset: number; length: number }[] {
  const fd = openSync(path, 'r');
  try {
    return [...dataParts(fd)];
  } finally {
    closeSync(fd);
  }
}

t.test('holes of sparse files stay holes', async (t) => {
  const base = scratch(t);
  mkdirSync(join(base, 'tree'));
  makeOddTree(join(base, 'tree'), PLAIN);
  for (const flags of [
    ['--format=gnu'],
    ['--format=pax', '--sparse-version=0.0'],
    ['--format=pax', '--sparse-version=0.1'],
    ['--format=pax', '--sparse-version=1.0'],
  ]) {
    const archive = join(base, 'archive.tar');
    await succeed('tar', [
      '--create',
      '--sparse',
      ...flags,
      '--file',
      archive,
      '--directory',
      join(base, 'tree'),
      'sparse',
      'hole',
      'ragged',
    ]);
    const dir = join(scratch(t), 'layer');
    mkdirSync(dir);
    const { sizeBytes } = await unpack(dir, readFileSync(archive));
    for (const name of ['sparse', 'hole', 'ragged']) {
      t.same(partsOf(join(dir, name)), partsOf(join(base, 'tree', name)), `${flags.join(' ')}: ${name}`);
    }
    t.ok(sizeBytes < 1024 * 1024, 'only data is counted');
  }
});

/** Why Python cannot be asked. */
const withoutPython = await succeed('python3', ['-c', 'import tarfile']).then(
  () => false as const,
  () => 'needs python3 with tarfile',
);

t.test('archives of Python, in all its dialects', { skip: withoutPython }, async (t) => {
  for (const [format, tree] of Object.entries({ USTAR_FORMAT: PLAIN, GNU_FORMAT: ALL, PAX_FORMAT: ALL })) {
    const base = scratch(t);
    mkdirSync(join(base, 'tree'));
    makeOddTree(join(base, 'tree'), tree);
    const archive = join(base, 'archive.tar');
    const program = `import tarfile; t = tarfile.open(${JSON.stringify(archive)}, 'w', format=tarfile.${format}); t.add(${JSON.stringify(join(base, 'tree'))}, '.'); t.close()`;
    await succeed('python3', ['-c', program]);
    await sameAsGnuTar(t, archive, `Python ${format}`);
  }
});

const dir = (path: string, more: Partial<TarEntry> = {}): TarEntry => ({ path, type: 'directory', mtime: 1000, ...more });
const file = (path: string, content = path): TarEntry => ({ path, content, mtime: 2000.25 });
const LOWER: TarEntry[] = [
  dir('./'),
  dir('d/', { mode: 0o750, uid: 1 }),
  file('d/a'),
  file('d/b'),
  dir('d/sub/'),
  file('d/sub/c'),
  file('f'),
  { path: 's', type: 'symlink', target: 'd', mtime: 3 },
];

/** Layers of an odd kind on an ordinary one, and where berth and umoci differ about them. */
const ODD_LAYERS: Record<string, { layer: TarEntry[]; differs?: string[] }> = {
  'a file before its directory': { layer: [file('new/x'), dir('new/', { mode: 0o700 })] },
  'names twice': {
    layer: [
      file('f', 'first'),
      file('f', 'second'),
      dir('twice/', { mode: 0o700 }),
      file('twice/x'),
      dir('twice/', { mode: 0o711, uid: 5 }),
    ],
  },
  'a directory over a file': { layer: [dir('f/', { gid: 4 }), file('f/x')] },
  'a file over a directory': { layer: [file('d')] },
  'a symlink over a directory': { layer: [{ path: 'd', type: 'symlink', target: 'elsewhere', mtime: 4 }] },
  'a directory over a symlink': { layer: [dir('s/'), file('s/x')] },
  'a directory, replaced by a file and back': { layer: [dir('d/'), file('d/own'), file('d'), dir('d/', { mode: 0o711 }), file('d/last')] },
  'a whiteout, then a directory of that name': { layer: [dir('./'), file('.wh.d'), dir('d/'), file('d/only')] },
  'an opaque directory': { layer: [dir('d/'), file('d/.wh..wh..opq'), file('d/only')] },
  'an opaque mark after what is new': { layer: [dir('d/'), file('d/only'), file('d/.wh..wh..opq')] },
  'an opaque root': { layer: [dir('./'), file('.wh..wh..opq'), file('only')] },
  'whiteouts of nothing': { layer: [dir('./'), file('.wh.nothing'), dir('d/'), file('d/.wh.nothing')] },
  'absolute and dotted names': { layer: [dir('/abs/'), file('/abs/x'), dir('./dot/'), file('./dot/./x'), file('dot//y')] },
  'a hard link to a lower layer, a chain and a symlink': {
    layer: [
      dir('./'),
      { path: 'h', type: 'hardlink', target: 'd/a' },
      { path: 'hh', type: 'hardlink', target: 'h' },
      { path: 'hs', type: 'hardlink', target: 's' },
    ],
  },
  'names through a symlink of the same layer': {
    layer: [dir('./'), dir('real/'), { path: 'via', type: 'symlink', target: 'real', mtime: 5 }, file('via/x')],
  },
  'names through a symlink of a lower layer': {
    layer: [dir('./'), file('s/x')],
    // Layers are unpacked side by side, as containerd and Docker do it too: the name becomes a directory of its own.
    differs: [
      '"d/x": is missing (file)',
      '"s": type is "directory", not "symlink"',
      '"s": mode is "0755", not "0777"',
      '"s": mtime is "0.000000000", not "3.000000000"',
      '"s": target is undefined, not "d"',
      '"s/x": is there (file)',
    ],
  },
};

t.test('odd layers on an ordinary one', async (t) => {
  for (const [what, { layer, differs = [] }] of Object.entries(ODD_LAYERS)) {
    const base = scratch(t);
    const tars = [LOWER, layer].map(buildTar);
    const { target } = await mountLayers(t, base, tars);
    const found = differences(readTree(target), readTree(await umoci(base, tars)));
    t.same(
      found.filter((line) => !line.startsWith('"": mtime')),
      differs,
      what,
    );
  }
});

t.test('images made at random', async (t) => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const base = scratch(t);
    const tars = randomLayers(seed).map(buildTar);
    const { target, fixup } = await mountLayers(t, base, tars);
    t.same(
      differences(readTree(target), readTree(await umoci(base, tars))),
      [],
      `seed ${seed}${fixup === undefined ? '' : ', with a fix-up'}`,
    );
  }
});

/** Four layers as a distribution, a language and an application have them: some 4,000 files, most of them small. */
function benchmarkLike(): TarEntry[][] {
  const sizes = [0, 37, 512, 900, 4096, 9000, 30_000];
  const content = (name: string, at: number): string => `${name} `.repeat(1 + Math.floor((sizes[at % sizes.length] ?? 0) / name.length));
  return ['usr/lib/x86_64', 'usr/lib/language', 'opt/app', 'opt/app/node_modules'].map((top, layer) => {
    const entries: TarEntry[] = [dir('./')];
    const parents = top.split('/');
    parents.forEach((_, at) => {
      entries.push(dir(`${parents.slice(0, at + 1).join('/')}/`));
    });
    for (let pack = 0; pack < 50; pack += 1) {
      const name = `${top}/package-${pack}`;
      entries.push(dir(`${name}/`, { mode: pack % 5 === 0 ? 0o2755 : 0o755, gid: pack % 5 }));
      for (let at = 0; at < 20; at += 1)
        entries.push({
          ...file(`${name}/file-${at}.so`, content(name, at + pack)),
          mode: at % 3 === 0 ? 0o755 : 0o644,
          uid: pack % 7 === 0 ? 33 : 0,
        });
      entries.push(
        { path: `${name}/current`, type: 'symlink', target: 'file-1.so', mtime: 9 },
        { path: `${name}/hard`, type: 'hardlink', target: `${name}/file-2.so` },
      );
    }
    if (layer > 0)
      entries.push(dir('usr/lib/x86_64/package-1/'), file(`usr/lib/x86_64/package-1/.wh.file-${layer}.so`), {
        path: `${top}/below`,
        type: 'hardlink',
        target: 'usr/lib/x86_64/package-9/hard',
      });
    return entries;
  });
}

t.test('an image like the benchmark’s', async (t) => {
  const base = scratch(t);
  const tars = benchmarkLike().map(buildTar);
  const { target, layers } = await mountLayers(t, base, tars);
  const tree = readTree(target);
  t.same(differences(tree, readTree(await umoci(base, tars))), []);
  t.ok(tree.size > 4000, `${tree.size} names`);
  t.same(
    layers.map(({ content }) => content.lowerLinks.length),
    [0, 1, 1, 1],
  );
});
