// Saved archives: read back by berth, skopeo and GNU tar, the same bytes each time, and never a damaged one in silence.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type BuiltImage, buildImage } from '../../../hack/lib/image-builder.ts';
import { buildTar } from '../../../hack/lib/tar.ts';
import { Scratch } from '../../../src/archive/index.ts';
import { BlobStore } from '../../../src/content/index.ts';
import type { Digest } from '../../../src/ids/index.ts';
import type { LayerSource } from '../../../src/image/layer-source.ts';
import { saveImages } from '../../../src/image/save.ts';
import { blobPath, layoutFiles, refName, scratchDir, writeDirectory } from '../../fixtures/archives.ts';
import { openImages, type TestImages } from '../../fixtures/image-service.ts';

const never = new AbortController().signal;
const TARS = [buildTar([{ path: 'etc/motd', content: 'hello\n' }]), buildTar([{ path: 'app', content: 'a'.repeat(300_000) }])] as const;
const app = buildImage({ layers: [{ tar: TARS[0] }, { tar: TARS[1], compression: 'zstd' }], config: { Cmd: ['/app'] } });
const old = buildImage({ layers: [{ tar: TARS[0] }], format: 'docker', config: { Cmd: ['/old'] } });
type Format = 'oci' | 'docker';

/** A store with images under names, whose compressed blobs were kept. */
async function stored(t: Test, images: readonly { image: BuiltImage; name: string }[]): Promise<TestImages> {
  const store = openImages(t, { keepBlobs: true });
  const entries = images.map(({ image, name }) => ({ image, annotations: refName(name) }));
  await store.service.load({ path: writeDirectory(scratchDir(t), layoutFiles(entries)), pin: false, name: '' }, never);
  return store;
}

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Saves into a file of the test's. */
async function saved(t: Test, store: TestImages, images: readonly string[], format: Format = 'oci'): Promise<string> {
  const path = join(scratchDir(t), `${format}.tar`);
  writeFileSync(path, await bytesOf(store.service.save({ images, format }, never)));
  return path;
}

const run = (...argv: string[]): string =>
  execFileSync(argv[0] ?? '', argv.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const skopeo = (...argv: string[]): string => run('skopeo', '--insecure-policy', ...argv);
const load = (store: TestImages, path: string) => store.service.load({ path, pin: false, name: '' }, never);
const scratch = (store: TestImages): string[] => readdirSync(join(store.root, 'content/scratch'));

t.test('an OCI archive with kept blobs: the image’s own manifest, the same bytes each time, an id for every reader', async (t) => {
  const store = await stored(t, [{ image: app, name: 'reg.io/app:1' }]);
  const path = await saved(t, store, ['reg.io/app:1']);
  t.same(readFileSync(await saved(t, store, [app.id])), readFileSync(path));
  t.same(run('tar', '-tf', path).trim().split('\n'), [
    'blobs/',
    'blobs/sha256/',
    ...[...app.blobs.keys(), app.manifest.descriptor.digest].map(blobPath).sort(),
    'index.json',
    'manifest.json',
    'oci-layout',
  ]);
  t.match(run('tar', '--numeric-owner', '-tvf', path), /^(?:[-d]rw-?[-rwx]+ 0\/0 +[0-9]+ 1970-01-01 .*\n)+$/);
  t.match(JSON.parse(skopeo('inspect', `oci-archive:${path}:reg.io/app:1`)), { Digest: app.manifest.descriptor.digest });
  t.same(skopeo('inspect', '--raw', `oci-archive:${path}:reg.io/app:1`), app.manifest.bytes.toString());
  t.same(await load(openImages(t), path), [{ id: app.id, names: ['reg.io/app:1', `reg.io/app@${app.manifest.descriptor.digest}`] }]);
});

t.test('an OCI archive is a docker-archive too', async (t) => {
  const store = await stored(t, [{ image: app, name: 'reg.io/app:1' }]);
  const path = await saved(t, store, ['reg.io/app:1']);
  const copy = join(scratchDir(t), 'copy');
  skopeo('copy', `docker-archive:${path}:reg.io/app:1`, `oci:${copy}:reg.io/app:1`);
  const [, config] = /"config":\{[^}]*"digest":"(sha256:[0-9a-f]{64})"/.exec(skopeo('inspect', '--raw', `oci:${copy}`)) ?? [];
  t.match(JSON.parse(readFileSync(join(copy, blobPath(config ?? '')), 'utf8')), {
    config: { Cmd: ['/app'] },
    rootfs: { diff_ids: app.diffIds },
  });
});

t.test('the older docker-archive has plain layers, and skopeo and berth read it', async (t) => {
  const store = await stored(t, [{ image: app, name: 'reg.io/app:1' }]);
  const path = await saved(t, store, ['reg.io/app:1'], 'docker');
  t.same(readFileSync(await saved(t, store, [app.id], 'docker')), readFileSync(path));
  const dir = scratchDir(t);
  run('tar', '-xf', path, '-C', dir);
  t.same(JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')), [
    { Config: `${app.id.slice(7)}.json`, RepoTags: ['reg.io/app:1'], Layers: app.diffIds.map((diffId) => `${diffId.slice(7)}/layer.tar`) },
  ]);
  for (const [at, diffId] of app.diffIds.entries()) t.same(readFileSync(join(dir, diffId.slice(7), 'layer.tar')), TARS[at]);
  const copy = join(scratchDir(t), 'copy.tar');
  skopeo('copy', `docker-archive:${path}`, `oci-archive:${copy}:reg.io/app:1`);
  t.match(await load(openImages(t), path), [{ id: app.id, names: ['reg.io/app:1'] }]);
  t.match(JSON.parse(skopeo('inspect', '--config', `oci-archive:${copy}`)), { rootfs: { diff_ids: app.diffIds } });
  t.same(scratch(store), []);
});

t.test('a docker schema 2 image becomes an OCI one, since readers of layouts know no other; its id stays', async (t) => {
  const store = await stored(t, [{ image: old, name: 'reg.io/old:1' }]);
  const path = await saved(t, store, ['reg.io/old:1']);
  const manifest = JSON.parse(skopeo('inspect', '--raw', `oci-archive:${path}:reg.io/old:1`));
  t.match(manifest, {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: old.id },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: old.layers[0]?.digest }],
  });
  t.match(await load(openImages(t), path), [{ id: old.id }]);
});

t.test('several images and names in one archive; what they share is in it once', async (t) => {
  const store = await stored(t, [
    { image: app, name: 'reg.io/app:1' },
    { image: app, name: 'reg.io/app:2' },
    { image: old, name: 'reg.io/old:1' },
  ]);
  for (const format of ['oci', 'docker'] as const) {
    const path = await saved(t, store, ['reg.io/old:1', app.id], format);
    t.match(await load(openImages(t), path), [
      { id: old.id, names: ['reg.io/old:1'] },
      { id: app.id, names: ['reg.io/app:1', 'reg.io/app:2'] },
    ]);
    const one = await saved(t, store, ['reg.io/app:2', 'reg.io/app:2'], format);
    t.match((await load(openImages(t), one))[0]?.names[0], 'reg.io/app:2');
    t.notMatch(run('tar', '-xOf', one, 'manifest.json'), /app:1/, 'only the tag that was asked for');
  }
  t.match(skopeo('inspect', `oci-archive:${await saved(t, store, [app.id])}:reg.io/app:2`), app.manifest.descriptor.digest);
});

t.test('an image without a tag is saved under its digest, or under nothing', async (t) => {
  const store = await stored(t, [{ image: app, name: `reg.io/app@${app.manifest.descriptor.digest}` }]);
  const path = await saved(t, store, [app.id]);
  t.same(await load(openImages(t), path), [{ id: app.id, names: [`reg.io/app@${app.manifest.descriptor.digest}`] }]);
  t.same(await load(openImages(t), await saved(t, store, [app.id], 'docker')), [{ id: app.id, names: [] }]);
});

/** Serves the layers' tars, as if no blob was kept. */
const unpacked: LayerSource = {
  async open(_record, at) {
    const tar = TARS[at] ?? Buffer.alloc(0);
    const stream = async function* () {
      for (let from = 0; from < tar.length; from += 70_000) yield tar.subarray(from, from + 70_000);
    };
    return { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: app.diffIds[at] as Digest, size: tar.length, stream };
  },
};

function partsOf(store: TestImages, layers: LayerSource): Parameters<typeof saveImages>[0] {
  return {
    catalog: store.service,
    blobs: new BlobStore(join(store.root, 'content')),
    layers,
    scratch: new Scratch(join(store.root, 'content/scratch')),
    use: () => ({ [Symbol.asyncDispose]: async () => undefined }),
  };
}

t.test('without kept blobs the layers are plain, the manifest new, and the id the same', async (t) => {
  const store = await stored(t, [{ image: app, name: 'reg.io/app:1' }]);
  for (const format of ['oci', 'docker'] as const) {
    const path = join(scratchDir(t), 'plain.tar');
    writeFileSync(path, await bytesOf(saveImages(partsOf(store, unpacked), { images: ['reg.io/app:1'], format }, never)));
    const [image] = await load(openImages(t), path);
    t.equal(image?.id, app.id);
    if (format === 'docker') continue;
    const manifest = JSON.parse(skopeo('inspect', '--raw', `oci-archive:${path}`));
    t.match(
      manifest.layers,
      app.diffIds.map((digest, at) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: TARS[at]?.length })),
    );
    t.not(image?.names[1], `reg.io/app@${app.manifest.descriptor.digest}`);
    skopeo('copy', `oci-archive:${path}`, `docker-archive:${path}.docker:a/b:c`);
    t.match(await load(openImages(t), `${path}.docker`), [{ id: app.id, names: ['docker.io/a/b:c'] }]);
  }
});

t.test('a layer that is not there, or not what it should be, ends the stream with an error', async (t) => {
  const bare = openImages(t);
  await load(bare, writeDirectory(scratchDir(t), layoutFiles([{ image: app, annotations: refName('reg.io/app:1') }])));
  writeFileSync(join(bare.root, 'layers', app.diffIds[1]?.slice('sha256:'.length) ?? '', 'app'), 'b'.repeat(300_000));
  await t.rejects(bytesOf(bare.service.save({ images: ['reg.io/app:1'], format: 'oci' }, never)), {
    name: 'RuntimeError',
    reason: 'IMAGE_LAYER_UNAVAILABLE',
    message:
      /^layer sha256:[0-9a-f]+ cannot be made again from this node: .*"app": its content is not what it was; find out with berth check --images/,
  });
  t.same(scratch(bare), []);
  const store = await stored(t, [{ image: app, name: 'reg.io/app:1' }]);
  const content = join(store.root, 'content');
  const layer = join(content, blobPath(app.layers[1]?.digest ?? ''));
  const bytes = readFileSync(layer);
  bytes[20] = (bytes[20] ?? 0) ^ 0xff;
  writeFileSync(layer, bytes);
  for (const format of ['oci', 'docker'] as const) {
    await t.rejects(bytesOf(store.service.save({ images: ['reg.io/app:1'], format }, never)), {
      name: 'RuntimeError',
      reason: 'IMAGE_LAYER_UNAVAILABLE',
      message: /^layer 2 of image reg\.io\/app:1 is damaged on this node: .*remove the image and pull it again$/,
    });
  }
  t.same(scratch(store), []);
  writeFileSync(join(content, blobPath(app.id)), '{}');
  await t.rejects(bytesOf(store.service.save({ images: [app.id], format: 'oci' }, never)), {
    name: 'RuntimeError',
    reason: 'IMAGE_MANIFEST',
    message: /config of image reg\.io\/app:1 on this node is missing or damaged/,
  });
  await t.rejects(bytesOf(store.service.save({ images: ['nope'], format: 'oci' }, never)), {
    name: 'RuntimeError',
    kind: 'not-found',
    reason: 'IMAGE_NOT_FOUND',
  });
  await t.rejects(bytesOf(store.service.save({ images: [], format: 'oci' }, never)), { name: 'RuntimeError', reason: 'INVALID_ARGUMENT' });
});

t.test('what is saved stays until the end, also when it is removed meanwhile', async (t) => {
  const store = await stored(t, [{ image: app, name: 'reg.io/app:1' }]);
  const stream = store.service.save({ images: ['reg.io/app:1'], format: 'oci' }, never)[Symbol.asyncIterator]();
  const first = await stream.next();
  await store.service.remove('reg.io/app:1');
  t.equal(store.service.find(app.id), undefined, 'gone for everyone else');
  t.equal(readdirSync(join(store.root, 'layers')).length, 2);
  const rest: Uint8Array[] = [first.value ?? Buffer.alloc(0)];
  for (let next = await stream.next(); next.done !== true; next = await stream.next()) rest.push(next.value);
  mkdirSync(join(store.root, 'out'));
  writeFileSync(join(store.root, 'out/a.tar'), Buffer.concat(rest));
  t.same(readdirSync(join(store.root, 'layers')), [], 'then it goes');
  t.match(await load(openImages(t), join(store.root, 'out/a.tar')), [{ id: app.id }]);
});
