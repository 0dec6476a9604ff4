// Archives loaded by the real image store: what comes, under which names, and that nothing half-made stays.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { type BuiltImage, buildImage } from '../../../hack/lib/image-builder.ts';
import { buildTar } from '../../../hack/lib/tar.ts';
import { unmount } from '../../../src/sys/index.ts';
import {
  blobPath,
  dockerEntries,
  type LayoutEntry,
  layoutFiles,
  refName,
  scratchDir,
  tarOf,
  writeDirectory,
} from '../../fixtures/archives.ts';
import { openImages, type TestImages } from '../../fixtures/image-service.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const never = new AbortController().signal;
const BASE = { entries: [{ path: 'etc/motd', content: 'hello\n' }] };
const app = buildImage({ layers: [BASE, { entries: [{ path: 'app', content: 'a'.repeat(3000) }], compression: 'zstd' }] });
const db = buildImage({ layers: [BASE, { entries: [{ path: 'db', content: 'd' }], compression: 'none' }] });

const load = (images: TestImages, path: string, over: { pin?: boolean; name?: string } = {}) =>
  images.service.load({ path, pin: over.pin ?? false, name: over.name ?? '' }, never);

function layout(t: Test, entries: readonly LayoutEntry[]): string {
  return writeDirectory(scratchDir(t), layoutFiles(entries));
}

/** Files that a load leaves only while it goes on. */
function litter(images: TestImages): string[] {
  return ['content/parts', 'content/scratch'].flatMap((name) => readdirSync(join(images.root, name)).map((file) => `${name}/${file}`));
}

t.test('an OCI layout is loaded under its names, by a tag and by its digest', async (t) => {
  const images = openImages(t, { pinned: ['reg.io/app:*'] });
  const path = layout(t, [
    { image: app, annotations: refName('reg.io/app:1') },
    { image: db, annotations: { 'io.containerd.image.name': 'docker.io/library/db:2', ...refName('2') } },
  ]);
  const digestName = `reg.io/app@${app.manifest.descriptor.digest}`;
  t.same(await load(images, path), [
    { id: app.id, names: ['reg.io/app:1', digestName] },
    { id: db.id, names: ['docker.io/library/db:2', `docker.io/library/db@${db.manifest.descriptor.digest}`] },
  ]);
  t.match(images.service.find(digestName), { id: app.id, pinned: true, repoTags: ['reg.io/app:1'] });
  t.match(images.service.find('db:2'), { id: db.id, pinned: false });
  t.equal(readdirSync(join(images.root, 'layers')).length, 3, 'the common layer is there once');
  t.match(
    images.service.pulls().map(({ reference, state }) => [reference, state]),
    [
      [path, 'done'],
      [`${path}: reg.io/app:1`, 'done'],
      [`${path}: docker.io/library/db:2`, 'done'],
    ],
  );
  t.match(images.events, [
    { registry: 'archive', layersPulled: 2, layersShared: 0 },
    { registry: 'archive', layersPulled: 1, layersShared: 1 },
  ]);
  t.same(litter(images), []);
  await images.restart();
  t.ok(images.service.find('reg.io/app:1'), 'and it is there after a restart');
});

t.test('loading again changes nothing, and reads no layer', async (t) => {
  const images = openImages(t);
  const path = layout(t, [{ image: app, annotations: refName('reg.io/app:1') }]);
  await load(images, path);
  const before = images.service.find(app.id);
  writeFileSync(join(path, blobPath(app.layers[0]?.digest ?? '')), 'damaged now');
  t.same(await load(images, path), [{ id: app.id, names: before ? [...before.repoTags, ...before.repoDigests] : [] }]);
  t.match(images.service.find(app.id), { repoTags: before?.repoTags, repoDigests: before?.repoDigests, layers: before?.layers });
});

t.test('a docker-archive and a layout of one image are one image; the registry’s manifest is kept', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const name = await registry.pushImage('app', '1', app);
  await images.service.pull(name, undefined, never);
  const file = join(scratchDir(t), 'docker.tar.gz');
  writeFileSync(file, gzipSync(buildTar(dockerEntries([{ image: app, tags: ['app:docker'] }]))));
  t.same(await load(images, file), [{ id: app.id, names: ['docker.io/library/app:docker'] }]);
  const record = images.service.find(app.id);
  t.same(record?.repoTags, [name, 'docker.io/library/app:docker']);
  t.same(record?.repoDigests, [`${registry.host}/app@${app.manifest.descriptor.digest}`], 'a manifest of our own gives no digest name');
  t.equal(record?.manifestDigest, app.manifest.descriptor.digest);
  t.same(
    readdirSync(join(images.root, 'content/blobs/sha256')).sort(),
    [app.id, app.manifest.descriptor.digest].map((digest) => digest.slice(7)).sort(),
  );
});

t.test('a tag moves to the image that is loaded under it', async (t) => {
  const images = openImages(t);
  await load(images, layout(t, [{ image: app, annotations: refName('reg.io/x:1') }]));
  await load(images, layout(t, [{ image: db, annotations: refName('reg.io/x:1') }]));
  t.equal(images.service.find('reg.io/x:1')?.id, db.id);
  t.same(images.service.find(app.id)?.repoTags, []);
});

t.test('names: of the caller, bare tags, none', async (t) => {
  const images = openImages(t);
  const bare = layout(t, [{ image: app }]);
  t.same(await load(images, bare), [{ id: app.id, names: [] }], 'found by its id only');
  t.match(images.service.find(app.id.slice(7, 20)), { repoTags: [], repoDigests: [] });
  t.match(await load(images, bare, { name: 'mine/app' }), [{ names: ['docker.io/mine/app:latest', /@sha256/] }]);
  const tagged = layout(t, [
    { image: app, annotations: refName('v1') },
    { image: app, annotations: refName('stable') },
    { image: db, annotations: refName('v2') },
  ]);
  t.match(await load(images, tagged, { name: 'reg.io/both' }), [
    { id: app.id, names: ['reg.io/both:v1', 'reg.io/both:stable', /@sha256/] },
    { id: db.id, names: ['reg.io/both:v2', /@sha256/] },
  ]);
  t.match(await load(images, tagged), [{ names: [] }, { names: [] }]);
  const named = layout(t, [{ image: app, annotations: refName('reg.io/own:1') }]);
  t.match(await load(images, named, { name: 'reg.io/other:2' }), [
    { names: ['reg.io/own:1', 'reg.io/other:2', /own@sha256/, /other@sha256/] },
  ]);
  await t.rejects(load(images, tagged, { name: 'reg.io/both:1' }), {
    reason: 'INVALID_ARGUMENT',
    message: /holds 2 images without a name/,
  });
  await t.rejects(load(images, bare, { name: `a@${app.id}` }), { reason: 'INVALID_ARGUMENT', message: /it has a digest/ });
  await t.rejects(load(images, bare, { name: 'UPPER' }), { name: 'RuntimeError', reason: 'IMAGE_REFERENCE' });
  const malformed = layout(t, [{ image: app, annotations: refName('reg.io/UPPER:1') }]);
  await t.rejects(load(images, malformed), { name: 'RuntimeError', reason: 'IMAGE_REFERENCE', message: /UPPER/ });
});

t.test('an archive cannot give an image a digest that it does not have', async (t) => {
  const images = openImages(t);
  const honest = `reg.io/app@${app.manifest.descriptor.digest}`;
  const path = layout(t, [
    { image: app, annotations: refName(honest) },
    { image: app, annotations: refName(`reg.io/app@${db.manifest.descriptor.digest}`) },
  ]);
  t.same(await load(images, path), [{ id: app.id, names: [honest] }]);
  t.equal(images.service.find(`reg.io/app@${db.manifest.descriptor.digest}`), undefined);
});

t.test('a pin outlasts later pulls and restarts, until the image is removed', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const path = layout(t, [{ image: app, annotations: refName('reg.io/app:1') }]);
  await load(images, path, { pin: true });
  await images.service.pull(await registry.pushImage('app', '1', app), undefined, never);
  t.match(images.service.find(app.id), { pinned: true });
  await load(images, path);
  await images.restart();
  t.match(images.service.find(app.id), { pinned: true });
  await images.service.remove(app.id);
  await load(images, path);
  t.match(images.service.find(app.id), { pinned: false });
});

t.test('a broken image ends the load; those before it stay and are named, of it nothing does', async (t) => {
  const images = openImages(t);
  const damaged: BuiltImage = { ...db, blobs: new Map(db.blobs) };
  const [, top] = db.layers;
  const bytes = Buffer.from(db.blobs.get(top?.digest ?? '') ?? '');
  bytes[600] = (bytes[600] ?? 0) ^ 1;
  damaged.blobs.set(top?.digest ?? '', bytes);
  const path = join(scratchDir(t), 'both.tar');
  writeFileSync(
    path,
    tarOf(
      layoutFiles([
        { image: app, annotations: refName('reg.io/app:1') },
        { image: damaged, annotations: refName('reg.io/db:1') },
      ]),
    ),
  );
  await t.rejects(load(images, path), {
    name: 'RuntimeError',
    kind: 'invalid',
    reason: 'IMAGE_ARCHIVE',
    message: `the image archive ${path} cannot be used: its member "${blobPath(top?.digest ?? '')}" is damaged: its content does not have the digest ${top?.digest}; make or copy it again (before it these were loaded and stay: reg.io/app:1)`,
  });
  t.match(images.service.list(), [{ id: app.id }]);
  t.equal(images.service.list().length, 1);
  t.equal(readdirSync(join(images.root, 'layers')).length, 2);
  t.same(litter(images), []);
  t.match(images.service.pulls().at(-1), { state: 'failed', reference: `${path}: reg.io/db:1`, error: /is damaged/ });
  t.match(images.events.at(-1), { registry: 'archive', reason: 'IMAGE_ARCHIVE' });
});

t.test('broken ways to be an image', async (t) => {
  const foreign = buildImage({ layers: [BASE], architecture: 's390x' });
  const noTar = buildImage({ layers: [{ tar: Buffer.from('no tar'.repeat(200)) }] });
  const lying = { ...db, blobs: new Map(db.blobs) }; // a docker-archive whose layer is not what its config says
  lying.blobs.set(db.layers[1]?.digest ?? '', app.blobs.get(app.layers[1]?.digest ?? '') ?? Buffer.alloc(0));
  const dir = scratchDir(t);
  writeFileSync(join(dir, 'lying.tar'), buildTar(dockerEntries([{ image: lying }])));
  const cases: [string, string, RegExp][] = [
    [
      layout(t, [{ image: foreign, annotations: refName('reg.io/far:1') }]),
      'IMAGE_PLATFORM',
      /^image reg\.io\/far:1 of \/.* is not for this node’s platform/,
    ],
    [layout(t, [{ image: foreign }]), 'IMAGE_PLATFORM', /^image 1 of 1 of \/.*s390x/],
    [layout(t, [{ image: noTar }]), 'IMAGE_LAYER', /^layer sha256:[0-9a-f]+ of image 1 of 1 of .*it is not a tar archive/],
    [join(dir, 'lying.tar'), 'IMAGE_DIGEST', /is not what the image’s config says/],
  ];
  for (const [path, reason, message] of cases) {
    const images = openImages(t);
    await t.rejects(load(images, path), { name: 'RuntimeError', reason, message });
    t.same(images.service.list(), []);
    await images.service.close(); // waits for the layers that were under way beside the broken one
    t.same(readdirSync(join(images.root, 'layers')), []);
    t.same(litter(images), []);
  }
});

t.test('loads of one archive at once are one; a caller that leaves leaves alone', async (t) => {
  const images = openImages(t);
  const path = layout(t, [{ image: app, annotations: refName('reg.io/app:1') }]);
  const leaving = new AbortController();
  const left = images.service.load({ path, pin: false, name: '' }, leaving.signal);
  const others = [load(images, path), load(images, path)];
  leaving.abort();
  await t.rejects(left, { name: 'RuntimeError', reason: 'CANCELLED' });
  t.same(new Set((await Promise.all(others)).map(([image]) => image?.id)), new Set([app.id]));
  t.equal(images.events.length, 1);
});

t.test('a load that everyone left ends and leaves nothing', async (t) => {
  const images = openImages(t);
  const path = join(scratchDir(t), 'large.tar.gz');
  writeFileSync(path, gzipSync(Buffer.alloc(64 << 20), { level: 1 }));
  const leaving = new AbortController();
  const left = images.service.load({ path, pin: false, name: '' }, leaving.signal);
  leaving.abort();
  await t.rejects(left, { name: 'RuntimeError', reason: 'CANCELLED' });
  await images.service.close();
  t.same(litter(images), []);
  t.same(images.service.list(), []);
  await images.restart();
});

t.test('a compressed archive larger than the disk is DISK_FULL, and the disk is as before', async (t) => {
  const disk = mkdtempSync(join(tmpdir(), 'berth-disk-'));
  t.teardown(() => {
    unmount(disk, { detach: true });
    rmSync(disk, { recursive: true });
  });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
  const root = join(disk, 'images');
  mkdirSync(root);
  const images = openImages(t, { root });
  const path = join(scratchDir(t), 'bomb.tar.gz');
  writeFileSync(path, gzipSync(tarOf({ 'index.json': '{}', bomb: Buffer.alloc(32 << 20) })));
  await t.rejects(load(images, path), {
    name: 'RuntimeError',
    kind: 'exhausted',
    reason: 'DISK_FULL',
    message: /content\/scratch failed: the file system has no space/,
  });
  t.same(litter(images), []);
  t.same(await load(images, layout(t, [{ image: app }])), [{ id: app.id, names: [] }], 'what fits is loaded');
});
