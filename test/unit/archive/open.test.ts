// Archives of every form become sources of images; broken ones are told by file, member and what is wrong.
import { readdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { buildImage, buildIndex, digestOf } from '../../../hack/lib/image-builder.ts';
import { buildTar, type TarEntry } from '../../../hack/lib/tar.ts';
import { type Archive, openArchive, Scratch } from '../../../src/archive/index.ts';
import type { Digest } from '../../../src/ids/index.ts';
import { blobPath, dockerEntries, type Files, layoutFiles, refName, scratchDir, tarOf, writeDirectory } from '../../fixtures/archives.ts';
import { openFdCount } from '../../fixtures/eventually.ts';

const never = new AbortController().signal;
const one = buildImage({ layers: [{ entries: [{ path: 'one', content: '1'.repeat(5000) }] }] });
const two = buildImage({ layers: [{ entries: [{ path: 'two', content: '2' }], compression: 'none' }] });

/** Opens what `make` wrote; `dir` is the test's. */
async function opened(t: Test, path: string, dir: string): Promise<Archive> {
  const archive = await openArchive({ path, scratch: new Scratch(join(dir, 'scratch')), signal: never });
  t.teardown(() => archive[Symbol.asyncDispose]());
  return archive;
}

function file(t: Test, bytes: Buffer, name = 'a.tar'): { dir: string; path: string } {
  const dir = scratchDir(t);
  writeFileSync(join(dir, name), bytes);
  return { dir, path: join(dir, name) };
}

async function collected(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const layout = layoutFiles([
  { image: one, annotations: refName('reg.io/one:1') },
  { image: one, annotations: refName('reg.io/one:2') },
  { image: two, annotations: refName('v2') },
]);

async function checkLayout(t: Test, archive: Archive): Promise<void> {
  t.match(archive.images, [
    { names: ['reg.io/one:1', 'reg.io/one:2'], tags: [], authentic: true },
    { names: [], tags: ['v2'], authentic: true },
  ]);
  const [image] = archive.images;
  const top = await image?.source.manifest(undefined, never);
  t.match(top, { bytes: one.manifest.bytes, digest: one.manifest.descriptor.digest, contentType: one.manifest.descriptor.mediaType });
  const layer = one.layers[0] as { mediaType: string; digest: Digest; size: number };
  const blob = await image?.source.blob(layer, 0, never);
  t.same(await collected(blob?.body ?? (async function* () {})()), one.blobs.get(layer.digest));
  const rest = await image?.source.blob(layer, 10, never);
  t.equal(rest?.offset, 10);
  t.same(await collected(rest?.body ?? (async function* () {})()), one.blobs.get(layer.digest)?.subarray(10), 'from an offset on');
}

t.test('an OCI layout: a directory, a tar, and compressed ones', async (t) => {
  const dir = scratchDir(t);
  await checkLayout(t, await opened(t, writeDirectory(join(dir, 'layout'), layout), dir));
  const tar = tarOf(layout);
  const gzip = Buffer.concat([gzipSync(tar.subarray(0, 1000)), gzipSync(tar.subarray(1000))]);
  const zstd = Buffer.concat([zstdCompressSync(tar.subarray(0, 1000)), zstdCompressSync(tar.subarray(1000))]);
  for (const [name, bytes] of Object.entries({ tar, gzip, zstd })) {
    writeFileSync(join(dir, 'misleading.zip'), bytes);
    await t.test(name, async (t) => checkLayout(t, await opened(t, join(dir, 'misleading.zip'), dir)));
  }
});

t.test('names in a tar: ./ before them, an absolute one, long ones in PAX headers, the later of two', async (t) => {
  const members: TarEntry[] = [
    { path: './index.json', content: 'stale' },
    { path: './', type: 'directory' },
    ...Object.entries(layout).map(([path, content]) => ({ path: `./${path}`, content })),
    { path: '/oci-layout', content: '{"imageLayoutVersion":"1.1.0"}' },
    { path: `${'long/'.repeat(40)}name`, content: 'x' },
  ];
  const { dir, path } = file(t, buildTar(members));
  await checkLayout(t, await opened(t, path, dir));
});

t.test('several platforms under one name, or under none, are one image with an index', async (t) => {
  const foreign = buildImage({ layers: [], architecture: 's390x' });
  const platform = { os: 'linux', architecture: one.architecture };
  const far = { os: 'linux', architecture: 's390x' };
  for (const annotations of [refName('reg.io/multi:1'), {}]) {
    const dir = scratchDir(t);
    const files = layoutFiles([
      { image: foreign, platform: far, annotations },
      { image: one, platform, annotations },
      {
        image: { ...two, manifest: { ...two.manifest } },
        platform: { os: 'unknown', architecture: 'unknown' },
        annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
      },
    ]);
    const { images } = await opened(t, writeDirectory(dir, files), dir);
    t.match(images, [{ authentic: false }], 'an index of our own is nobody’s name');
    t.equal(images.length, 1);
    const index = JSON.parse(String((await images[0]?.source.manifest(undefined, never))?.bytes));
    t.match(index.manifests, [{ platform: far }, { platform, digest: one.manifest.descriptor.digest }]);
    const manifest = await images[0]?.source.manifest(one.manifest.descriptor.digest as Digest, never);
    t.same(manifest?.bytes, one.manifest.bytes);
  }
  const dir = scratchDir(t);
  const index = buildIndex([foreign, one]);
  const nested = {
    manifest: index,
    blobs: new Map([...one.blobs, ...foreign.blobs, [one.manifest.descriptor.digest, one.manifest.bytes]]),
  };
  const { images } = await opened(t, writeDirectory(dir, layoutFiles([{ image: nested, annotations: refName('a:1') }])), dir);
  t.match(await images[0]?.source.manifest(undefined, never), { digest: index.descriptor.digest }, 'a nested index is what its name means');
  t.match(images, [{ authentic: true }]);
});

t.test('images without names and platforms are images of their own', async (t) => {
  const dir = scratchDir(t);
  const { images } = await opened(t, writeDirectory(dir, layoutFiles([{ image: one }, { image: two }])), dir);
  t.match(images, [
    { names: [], tags: [] },
    { names: [], tags: [] },
  ]);
});

t.test('a docker-archive gets a manifest; its config, and so the image id, is its own', async (t) => {
  const shared = buildImage({
    layers: [
      { entries: [{ path: 'two', content: '2' }], compression: 'none' },
      { entries: [{ path: 'three', content: '3' }], compression: 'gzip' },
    ],
  });
  const { dir, path } = file(t, buildTar(dockerEntries([{ image: two, tags: ['two:1', 'two:latest'] }, { image: shared }])));
  const { images } = await opened(t, path, dir);
  t.match(images, [
    { names: ['two:1', 'two:latest'], authentic: false },
    { names: [], authentic: false },
  ]);
  const top = await images[1]?.source.manifest(undefined, never);
  const manifest = JSON.parse(String(top?.bytes));
  t.equal(manifest.config.digest, shared.id);
  t.match(manifest.layers, [
    { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: shared.diffIds[0] },
    { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: shared.layers[1]?.digest },
  ]);
  t.same(await images[1]?.source.smallBlob(manifest.config, 1e6, never), shared.blobs.get(shared.id));
  const linked = await images[1]?.source.blob(manifest.layers[0], 0, never);
  t.same(
    await collected(linked?.body ?? (async function* () {})()),
    shared.blobs.get(shared.diffIds[0] ?? ''),
    'through a link to the other image’s layer',
  );
  t.equal(top?.digest, digestOf(top?.bytes ?? Buffer.alloc(0)));
});

t.test('docker’s newer form, a layout with manifest.json beside it, is read as a layout', async (t) => {
  const dir = scratchDir(t);
  const annotations = { 'io.containerd.image.name': 'docker.io/library/one:1', ...refName('1') };
  const rows = [{ Config: blobPath(one.id), RepoTags: ['one:1'], Layers: one.layers.map(({ digest }) => blobPath(digest)) }];
  const files = { ...layoutFiles([{ image: one, annotations }]), 'manifest.json': JSON.stringify(rows) };
  const { images } = await opened(t, writeDirectory(dir, files), dir);
  t.match(images, [{ names: ['docker.io/library/one:1'], tags: [], authentic: true }]);
});

t.test('a directory of skopeo copy dir:', async (t) => {
  const dir = scratchDir(t);
  const blobs = Object.fromEntries([...one.blobs].map(([digest, bytes]) => [digest.slice(7), bytes]));
  const files = { version: 'Directory Transport Version: 1.1\n', 'manifest.json': one.manifest.bytes, ...blobs };
  const { images } = await opened(t, writeDirectory(dir, files), dir);
  t.match(images, [{ names: [], tags: [], authentic: true }]);
  t.match(await images[0]?.source.manifest(undefined, never), { digest: one.manifest.descriptor.digest });
});

t.test('a layout of links into a store of blobs', async (t) => {
  const dir = scratchDir(t);
  writeDirectory(join(dir, 'store'), layout);
  writeDirectory(join(dir, 'links'), { 'index.json': layout['index.json'] ?? '' });
  symlinkSync(join(dir, 'store/blobs'), join(dir, 'links/blobs'));
  await checkLayout(t, await opened(t, join(dir, 'links'), dir));
});

/** Opens a directory of files, expecting a refusal. */
async function refused(t: Test, files: Files, message: RegExp): Promise<void> {
  const dir = scratchDir(t);
  await t.rejects(opened(t, writeDirectory(dir, files), dir), { name: 'RuntimeError', reason: 'IMAGE_ARCHIVE', kind: 'invalid', message });
}

t.test('layouts that say nonsense', async (t) => {
  const index = (manifests: unknown): Files => ({ 'index.json': JSON.stringify({ schemaVersion: 2, manifests }) });
  const { descriptor } = one.manifest;
  const cases: [Files, RegExp][] = [
    [{ 'index.json': 'root:x:0:0' }, /^the image archive \/.* cannot be used: its member "index.json" is not JSON; make or copy it again$/],
    [{ 'index.json': '[]' }, /has no list of images/],
    [index([]), /it holds no image/],
    [index([{ mediaType: 'application/vnd.cncf.helm.config' }]), /holds no container image, only artifacts/],
    [index([7]), /an entry that is no object/],
    [index([{ ...descriptor, digest: 'sha256:../../etc/passwd' }]), /an entry without a sha256 digest/],
    [index([{ ...descriptor, size: -1 }]), /no valid size/],
    [index(Array.from({ length: 1001 }, () => descriptor)), /more than 1000 images/],
    [{ ...layout, 'oci-layout': '{"imageLayoutVersion":"2.0.0"}' }, /"oci-layout" names a version other than 1/],
    [
      index([
        { ...descriptor, annotations: refName('a:1') },
        { ...two.manifest.descriptor, annotations: refName('a:1') },
      ]),
      /2 images of the name "a:1"/,
    ],
    [{ 'index.json': Buffer.alloc(1024 * 1024 + 1, 0x20) }, /has 1048577 bytes, at most 1048576/],
    [{ 'something.else': 'x' }, /neither the index.json of an OCI image layout nor the manifest.json/],
    [{ 'manifest.json': '[{"Config":1}]' }, /without Config, Layers and RepoTags/],
    [{ 'manifest.json': JSON.stringify(Array(1001).fill({})) }, /more than 1000 images/],
  ];
  for (const [files, message] of cases) await refused(t, files, message);
});

/** Reads all of the first image, expecting a refusal. */
async function brokenSource(t: Test, files: Files | TarEntry[], message: RegExp): Promise<void> {
  const { dir, path } = file(t, Array.isArray(files) ? buildTar(files) : tarOf(files));
  const { images } = await opened(t, path, dir);
  const { source } = images[0] as Archive['images'][number];
  const read = async (): Promise<void> => {
    const top = await source.manifest(undefined, never);
    const manifest = JSON.parse(String(top.bytes));
    await source.smallBlob(manifest.config, 1e6, never);
    await source.blob(manifest.layers[0], 0, never);
  };
  await t.rejects(read(), { name: 'RuntimeError', reason: 'IMAGE_ARCHIVE', message });
}

t.test('members that are missing or damaged', async (t) => {
  const plain = layoutFiles([{ image: one }]);
  const manifest = blobPath(one.manifest.descriptor.digest);
  const layer = blobPath(one.layers[0]?.digest ?? '');
  const without = (name: string): Files => Object.fromEntries(Object.entries(plain).filter(([path]) => path !== name));
  const flipped = (name: string): Files => ({ ...plain, [name]: Buffer.from(String(plain[name]).replace('a', 'b')) });
  await brokenSource(t, without(manifest), new RegExp(`a\\.tar .*"${manifest}" is missing`));
  await brokenSource(t, flipped(manifest), new RegExp(`"${manifest}" is damaged: its content does not have the digest`));
  await brokenSource(t, flipped(blobPath(one.id)), /is damaged/);
  await brokenSource(t, without(layer), new RegExp(`"${layer}" is missing`));
  await brokenSource(t, { ...plain, [layer]: 'short' }, /has 5 bytes, its descriptor says [0-9]+/);
  await brokenSource(t, { ...plain, [manifest]: Buffer.concat([one.manifest.bytes, Buffer.from(' ')]) }, /bytes, its descriptor says/);
});

t.test('docker-archives that are broken', async (t) => {
  const entries = dockerEntries([{ image: two, tags: ['two:1'] }]);
  const config = `${two.id.slice(7)}.json`;
  const change = (path: string, over: Partial<TarEntry>): TarEntry[] =>
    entries.map((entry) => (entry.path === path ? { ...entry, ...over } : entry));
  await brokenSource(
    t,
    entries.filter(({ path }) => path !== config),
    /\.json" is missing/,
  );
  await brokenSource(t, change(config, { content: '{}' }), /does not have the digest it is named by/);
  await brokenSource(
    t,
    entries.filter(({ path }) => path !== 'layer-0-0/layer.tar'),
    /"layer-0-0\/layer.tar" is missing/,
  );
  await brokenSource(
    t,
    change('layer-0-0/layer.tar', { type: 'symlink', target: '../nowhere' }),
    /is a link to "nowhere", which is not in the archive/,
  );
  await brokenSource(t, change('layer-0-0/layer.tar', { type: 'symlink', target: 'layer.tar' }), /is a chain of more than 8 links/);
  const rows = [{ Config: config, RepoTags: [], Layers: ['layer-0-0/layer.tar', 'layer-0-0/layer.tar'] }];
  await brokenSource(t, change('manifest.json', { content: JSON.stringify(rows) }), /has 2 layers, its config ".*" names 1/);
  await brokenSource(
    t,
    change('manifest.json', { content: JSON.stringify([{ Config: 'x.json', RepoTags: null, Layers: null }]) }),
    /"x.json" is missing/,
  );
  await brokenSource(
    t,
    change('manifest.json', { content: JSON.stringify([{ Config: '../../etc/passwd', RepoTags: null, Layers: null }]) }),
    /contains “\.\.”/,
  );
});

t.test('files that are no archive, or cut off', async (t) => {
  const tar = tarOf(layout);
  const cases: [string, Buffer, RegExp][] = [
    ['text', Buffer.from('root:x:0:0:root:/root:/bin/sh\n'.repeat(100)), /at byte 512: it is not a tar archive/],
    ['short', Buffer.from('hello'), /ends in the middle of a member/],
    ['empty', Buffer.alloc(0), /neither the index.json/],
    ['zeros', Buffer.alloc(10_240), /neither the index.json/],
    ['cut tar', tar.subarray(0, 2048), /is cut off: [0-9]+ of its [0-9]+ bytes are there|ends in the middle/],
    ['cut gzip', gzipSync(tar).subarray(0, 300), /its gzip compression is broken or cut off/],
    ['cut zstd', zstdCompressSync(tar).subarray(0, 300), /its zstd compression is broken or cut off/],
    ['gzip of nothing', gzipSync(Buffer.from('no tar at all'.repeat(50))), /at byte 512: it is not a tar archive/],
    ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1]), /compressed with xz, which is not read; decompress it first$/],
    ['climbing', buildTar([{ path: 'a/../../index.json', content: '{}' }]), /contains “\.\.”/],
    [
      'link out',
      buildTar([{ path: 'index.json', type: 'symlink', target: '../../etc/passwd' }]),
      /"index.json" is a link out of the archive \(to "\.\.\/\.\.\/etc\/passwd"\)/,
    ],
  ];
  for (const [name, bytes, message] of cases) {
    await t.test(name, async (t) => {
      const { dir, path } = file(t, bytes);
      await t.rejects(opened(t, path, dir), { name: 'RuntimeError', reason: 'IMAGE_ARCHIVE', message });
    });
  }
  const dir = scratchDir(t);
  await t.rejects(opened(t, join(dir, 'none.tar'), dir), {
    reason: 'IMAGE_ARCHIVE',
    message: /none\.tar cannot be used: it cannot be opened \(ENOENT/,
  });
  await t.rejects(opened(t, '/dev/null', dir), { reason: 'IMAGE_ARCHIVE', message: /it is neither a file nor a directory/ });
});

t.test('an archive of too many members', async (t) => {
  const member = buildTar([{ path: 'x', content: '' }]).subarray(0, 512);
  const { dir, path } = file(t, Buffer.concat(Array(100_001).fill(member)));
  await t.rejects(opened(t, path, dir), { reason: 'IMAGE_ARCHIVE', message: /more than 100000 members/ });
});

t.test('a file that shrinks while it is read', async (t) => {
  const { dir, path } = file(t, tarOf(layoutFiles([{ image: one }])));
  const { images } = await opened(t, path, dir);
  const { source } = images[0] as Archive['images'][number];
  truncateSync(path, 600);
  const layer = one.layers[0] as { mediaType: string; digest: Digest; size: number };
  const { body } = await source.blob(layer, 0, never);
  await t.rejects(collected(body), { reason: 'IMAGE_ARCHIVE', message: /ends after 0 of [0-9]+ bytes/ });
  await t.rejects(source.blob(layer, 0, never), { reason: 'IMAGE_ARCHIVE', message: /ends after 0 of/ }, 'a second try is told the same');
});

t.test('no archive, broken or not, leaves a descriptor or a file behind', async (t) => {
  const dir = scratchDir(t);
  const tar = tarOf(layout);
  const files = {
    good: tar,
    gzip: gzipSync(tar),
    cut: tar.subarray(0, 2048),
    cutGzip: gzipSync(tar).subarray(0, 300),
    text: Buffer.alloc(2000, 'x'),
  };
  const scratch = new Scratch(join(dir, 'scratch'));
  const before = openFdCount();
  for (const [name, bytes] of Object.entries(files)) {
    const path = join(dir, name);
    writeFileSync(path, bytes);
    try {
      await using archive = await openArchive({ path, scratch, signal: never });
      for await (const _ of (await archive.images[0]?.source.blob(one.layers[0] as never, 0, never))?.body ?? []) break; // a reader that leaves early
    } catch (error) {
      t.match(error, { reason: 'IMAGE_ARCHIVE' });
    }
  }
  await t.rejects(openArchive({ path: join(dir, 'gzip'), scratch, signal: AbortSignal.abort() }), {
    name: 'RuntimeError',
    reason: 'CANCELLED',
  });
  t.equal(openFdCount(), before);
  t.same(readdirSync(join(dir, 'scratch')), []);
});
