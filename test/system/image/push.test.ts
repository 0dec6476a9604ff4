// Pushes to a real registry: what arrives is what skopeo and berth pull again.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { type BuiltImage, buildImage } from '../../../hack/lib/image-builder.ts';
import { buildTar } from '../../../hack/lib/tar.ts';
import { blobPath, dockerEntries, layoutFiles, refName, scratchDir, writeDirectory } from '../../fixtures/archives.ts';
import { openImages, type TestImages } from '../../fixtures/image-service.ts';
import { type Registry, startRegistry } from '../../fixtures/registry.ts';

const never = new AbortController().signal;
const TARS = [buildTar([{ path: 'etc/motd', content: 'hello\n' }]), buildTar([{ path: 'app', content: 'a'.repeat(300_000) }])] as const;
const app = buildImage({ layers: [{ tar: TARS[0] }, { tar: TARS[1], compression: 'zstd' }], config: { Cmd: ['/app'] } });
const old = buildImage({ layers: [{ tar: TARS[0] }], format: 'docker', config: { Cmd: ['/old'] } });
const plain = buildImage({ layers: TARS.map((tar) => ({ tar, compression: 'none' })), config: { Cmd: ['/app'] } });

const bytes = (image: BuiltImage): number => [...image.blobs.values()].reduce((total, blob) => total + blob.length, 0);
const skopeo = (...argv: string[]): string =>
  execFileSync('skopeo', ['--insecure-policy', ...argv], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** A store with an image whose blobs were kept. */
async function stored(t: Test, image: BuiltImage, name: string): Promise<TestImages> {
  const store = openImages(t, { keepBlobs: true });
  await load(store, writeDirectory(scratchDir(t), layoutFiles([{ image, annotations: refName(name) }])));
  return store;
}

const load = (store: TestImages, path: string) => store.service.load({ path, pin: false, name: '' }, never);
const push = (store: TestImages, image: string, target = '', auth?: { user: string; password: string }) =>
  store.service.push(
    {
      image,
      target,
      auth: auth && { username: auth.user, password: auth.password, auth: '', serverAddress: '', identityToken: '', registryToken: '' },
    },
    never,
  );
const scratch = (store: TestImages): string[] => readdirSync(join(store.root, 'content/scratch'));

/** What the registry says of a tag. */
async function manifestOf(registry: Registry, repository: string, tag: string): Promise<{ digest: string; type: string; text: string }> {
  const accept = ['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json'].join(', ');
  const response = await fetch(`${registry.url}/v2/${repository}/manifests/${tag}`, { headers: { accept } });
  const text = await response.text();
  return { digest: response.headers.get('docker-content-digest') ?? '', type: response.headers.get('content-type') ?? '', text };
}

t.test('kept blobs arrive with the image’s own manifest, OCI or Docker; what is there is not sent again', async (t) => {
  const registry = await startRegistry(t);
  for (const image of [app, old]) {
    const store = await stored(t, image, `${registry.host}/team/app:1`);
    const { digest, mediaType } = image.manifest.descriptor;
    const first = await push(store, `${registry.host}/team/app:1`);
    t.equal(first.name, `${registry.host}/team/app@${digest}`);
    t.match(await manifestOf(registry, 'team/app', '1'), { digest, type: mediaType, text: image.manifest.bytes.toString() });
    t.equal(first.bytesSent + first.bytesPresent, bytes(image));
    t.match(await push(store, image.id), { bytesSent: 0, bytesPresent: bytes(image) }, 'by id, since it has one tag');
    const other = openImages(t);
    t.equal(await other.service.pull(`${registry.host}/team/app:1`, undefined, never), image.id);
  }
  skopeo('copy', '--src-tls-verify=false', `docker://${registry.host}/team/app:1`, `oci:${join(scratchDir(t), 'copy')}:x`);
});

t.test('an image whose layers are plain is sent compressed under a new manifest; the id stays', async (t) => {
  const registry = await startRegistry(t);
  const store = openImages(t);
  const path = join(scratchDir(t), 'docker.tar');
  writeFileSync(path, buildTar(dockerEntries([{ image: plain, tags: ['app:1'] }])));
  await load(store, path);
  const target = `${registry.host}/app:gz`;
  const { name, bytesSent } = await push(store, 'app:1', target);
  t.ok(bytesSent < 10_000, 'far less than the tars');
  const { text, digest } = await manifestOf(registry, 'app', 'gz');
  t.equal(name, `${registry.host}/app@${digest}`);
  const manifest = JSON.parse(text);
  t.match(manifest, { mediaType: 'application/vnd.oci.image.manifest.v1+json', config: { digest: plain.id } });
  const copy = join(scratchDir(t), 'copy');
  skopeo('copy', '--src-tls-verify=false', `docker://${target}`, `oci:${copy}:x`);
  for (const [at, layer] of manifest.layers.entries()) {
    t.equal(layer.mediaType, 'application/vnd.oci.image.layer.v1.tar+gzip');
    t.same(gunzipSync(readFileSync(join(copy, blobPath(layer.digest)))), TARS[at]);
  }
  t.equal(await openImages(t).service.pull(target, undefined, never), plain.id);
  t.match(await push(store, 'app:1', target), { name, bytesSent: 0 }, 'compressed anew it is the same');
  t.same(scratch(store), []);
});

t.test('credentials go to the registry; without them the push is refused and leaves nothing', async (t) => {
  const auth = { user: 'me', password: 'secret' };
  const registry = await startRegistry(t, { auth });
  const store = await stored(t, app, `${registry.host}/app:1`);
  await t.rejects(push(store, `${registry.host}/app:1`), { name: 'RuntimeError', reason: 'IMAGE_UNAUTHORIZED' });
  t.match(await push(store, `${registry.host}/app:1`, '', auth), { name: /app@sha256/ });
  t.notMatch(store.log.join(''), /secret/);
});

t.test('what cannot be pushed', async (t) => {
  const store = await stored(t, app, '127.0.0.1:1/app:1');
  const { service } = store;
  await t.rejects(push(store, 'nope:1'), {
    name: 'RuntimeError',
    kind: 'not-found',
    reason: 'IMAGE_NOT_FOUND',
    message: /"nope:1" is not on this node/,
  });
  await t.rejects(push(store, '127.0.0.1:1/app:1'), { name: 'RuntimeError', reason: 'REGISTRY_UNAVAILABLE' });
  await t.rejects(push(store, app.id, `reg.io/app@${app.id}`), {
    name: 'RuntimeError',
    reason: 'INVALID_ARGUMENT',
    message: /has a digest, which is the image’s own/,
  });
  await t.rejects(push(store, app.id, 'UPPER'), { name: 'RuntimeError', reason: 'IMAGE_REFERENCE' });
  await load(store, writeDirectory(scratchDir(t), layoutFiles([{ image: app, annotations: refName('reg.io/app:2') }])));
  await t.rejects(push(store, app.id), {
    name: 'RuntimeError',
    reason: 'INVALID_ARGUMENT',
    message: /it has the tags 127\.0\.0\.1:1\/app:1, reg\.io\/app:2; say where to push it/,
  });
  await service.remove(app.id);
  const bare = openImages(t);
  await load(bare, writeDirectory(scratchDir(t), layoutFiles([{ image: app }])));
  await t.rejects(push(bare, app.id), { name: 'RuntimeError', reason: 'INVALID_ARGUMENT', message: /it has no tag; say where/ });
  const registry = await startRegistry(t);
  rmSync(join(bare.root, 'splits', app.diffIds[1]?.slice('sha256:'.length) ?? ''));
  await t.rejects(push(bare, app.id, `${registry.host}/app:1`), {
    name: 'RuntimeError',
    reason: 'IMAGE_LAYER_UNAVAILABLE',
    message: /cannot be made again from this node/,
  });
  t.match((await manifestOf(registry, 'app', '1')).text, /unknown|not known/i, 'and nothing has the name');
  t.same(scratch(bare), []);
});

t.test('a damaged layer is not pushed', async (t) => {
  const registry = await startRegistry(t);
  const store = await stored(t, app, `${registry.host}/app:1`);
  const layer = join(store.root, 'content', blobPath(app.layers[1]?.digest ?? ''));
  const blob = readFileSync(layer);
  blob[20] = (blob[20] ?? 0) ^ 0xff;
  writeFileSync(layer, blob);
  await t.rejects(push(store, app.id), {
    name: 'RuntimeError',
    reason: 'IMAGE_LAYER_UNAVAILABLE',
    message: /^layer 2 of image .* is damaged on this node/,
  });
  t.match((await manifestOf(registry, 'app', '1')).text, /unknown|not known/i);
});
