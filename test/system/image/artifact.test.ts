/** OCI artifacts: files of any kind, pulled, shared, verified and shown as images are, and no containers. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { type BuiltImage, digestOf } from '../../../hack/lib/image-builder.ts';
import { buildTar } from '../../../hack/lib/tar.ts';
import { refuseArtifact } from '../../../src/image/index.ts';
import { mountImage, openImages } from '../../fixtures/image-service.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const never = new AbortController().signal;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const WEIGHTS = Buffer.alloc(400_000, 'weights');

interface File {
  bytes: Buffer;
  annotations?: Record<string, string>;
}

const titled = (title: string, bytes: Buffer): File => ({ bytes, annotations: { 'org.opencontainers.image.title': title } });

/** An artifact as oras makes it: an empty config, a blob a file. */
function artifact(files: readonly File[]): BuiltImage {
  const empty = Buffer.from('{}');
  const describe = (bytes: Buffer, mediaType: string) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const layers = files.map(({ bytes, annotations }) => ({ ...describe(bytes, 'application/octet-stream'), annotations }));
  const config = describe(empty, 'application/vnd.oci.empty.v1+json');
  const document = { schemaVersion: 2, mediaType: MANIFEST, artifactType: 'application/x-model', config, layers };
  const bytes = Buffer.from(JSON.stringify(document));
  const blobs = new Map([[config.digest, empty], ...files.map((file) => [digestOf(file.bytes), file.bytes] as const)]);
  const descriptor = describe(bytes, MANIFEST);
  return { blobs, manifest: { bytes, descriptor }, id: descriptor.digest, diffIds: [], layers, architecture: '', os: '' };
}

t.test('the files of an artifact are there under their titles, and it is no image to run', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const packed = gzipSync(
    buildTar([
      { path: 'docs/', type: 'directory' },
      { path: 'docs/readme', content: 'read me' },
    ]),
  );
  const unpack = { bytes: packed, annotations: { 'org.opencontainers.image.title': 'docs', 'io.deis.oras.content.unpack': 'true' } };
  const untitled = { bytes: Buffer.from('no title') };
  const built = artifact([titled('models/tiny.bin', WEIGHTS), unpack, untitled]);
  const name = await registry.pushImage('team/model', '1', built);
  const id = await images.service.pull(name, undefined, never);
  t.equal(id, built.manifest.descriptor.digest, 'its id is the digest of its manifest');
  const record = images.service.find(name);
  t.match(record, { repoTags: [name], artifactType: 'application/x-model' });
  t.ok((record?.sizeBytes ?? 0n) > 0n, 'kubelet refuses an image of no size');
  const tree = mountImage(t, images, id);
  t.same(readFileSync(join(tree, 'models/tiny.bin')), WEIGHTS);
  t.match(lstatSync(join(tree, 'models/tiny.bin')), { mode: 0o100644, uid: 0, gid: 0 });
  t.equal(readFileSync(join(tree, 'docs/readme'), 'utf8'), 'read me');
  t.equal(readFileSync(join(tree, digestOf(untitled.bytes).replace(':', '-')), 'utf8'), 'no title');
  t.throws(() => refuseArtifact(record!), {
    name: 'RuntimeError',
    reason: 'IMAGE_IS_ARTIFACT',
    message: /is an artifact of type application\/x-model, not a container image.*mount it as an image volume/,
  });
  const steps = await Array.fromAsync(images.service.check({ images: [], repair: false }, never));
  t.match(steps.at(-1), { summary: { layers: 3, damaged: 0 } }, 'it is verified as an image is');
  await t.rejects(Array.fromAsync(images.service.save({ images: [name], format: 'oci' }, never)), {
    name: 'RuntimeError',
    reason: 'IMAGE_IS_ARTIFACT',
  });
});

t.test('files that two artifacts share are there once, and go with the last', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const one = await registry.pushImage('one', '1', artifact([titled('same', WEIGHTS), titled('a', Buffer.from('a'))]));
  const two = await registry.pushImage('two', '1', artifact([titled('same', WEIGHTS), titled('b', Buffer.from('b'))]));
  await images.service.pull(one, undefined, never);
  await images.service.pull(two, undefined, never);
  t.match(images.events.at(-1), { layersPulled: 1, layersShared: 1 });
  await images.service.remove(one);
  t.equal(readdirSync(join(images.root, 'layers')).length, 2);
  const service = await images.restart();
  t.match(service.find(two), { artifactType: 'application/x-model' }, 'a restart knows it');
  await service.remove(two);
  for (const place of ['layers', 'splits', 'content/blobs/sha256']) t.same(readdirSync(join(images.root, place)), [], place);
});

t.test('a title that leads out of the layer is refused, and leaves nothing', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  for (const title of ['../escape', 'a/../../escape', '/..']) {
    const name = await registry.pushImage('bad', '1', artifact([titled(title, WEIGHTS)]));
    await t.rejects(images.service.pull(name, undefined, never), {
      name: 'RuntimeError',
      reason: 'IMAGE_LAYER',
      message: /contains “\.\.”/,
    });
    for (const place of ['layers', 'splits', 'content/blobs/sha256']) t.same(readdirSync(join(images.root, place)), [], place);
  }
});
