/** What an image is called: one id wherever it comes from, its names, what they find, and what becomes of them when a tag moves. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { buildImage, buildIndex } from '../../../hack/lib/image-builder.ts';
import type { ImageId } from '../../../src/ids/index.ts';
import { openImages, type TestImages } from '../../fixtures/image-service.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const never = new AbortController().signal;
const BASE = { entries: [{ path: 'etc/motd', content: 'hello\n' }] };
const CONFIG = { Cmd: ['sh'] };
const oci = buildImage({ layers: [BASE], config: CONFIG });
const docker = buildImage({ layers: [BASE], config: CONFIG, format: 'docker' });
const zstd = buildImage({ layers: [{ ...BASE, compression: 'zstd' }], config: CONFIG });
const newer = buildImage({ layers: [BASE, { entries: [{ path: 'new', content: 'n' }] }], config: CONFIG });
const foreign = buildImage({ layers: [BASE], config: CONFIG, architecture: 's390x' });
const id = oci.id as ImageId;

const layersOf = (images: TestImages): string[] => readdirSync(join(images.root, 'layers')).sort();

t.test('the same content has one id, in whatever registry, format, compression and under whatever name', async (t) => {
  t.same(new Set([oci.id, docker.id, zstd.id]).size, 1, 'three manifests of one config');
  const [one, two] = [await startRegistry(t), await startRegistry(t)];
  const images = openImages(t);
  await two.pushImage('m', 'foreign', foreign);
  await two.pushImage('m', 'mine', oci);
  const index = buildIndex([foreign, oci]);
  const byTag = [
    await one.pushImage('a/app', 'oci', oci),
    await two.pushImage('b/app', 'docker', docker),
    await two.pushImage('b/app', 'zstd', zstd),
    await two.pushIndex('m', 'all', index),
  ];
  const byDigest = [
    `${one.host}/a/app@${oci.manifest.descriptor.digest}`,
    `${two.host}/b/app@${docker.manifest.descriptor.digest}`,
    `${two.host}/b/app@${zstd.manifest.descriptor.digest}`,
    `${two.host}/m@${index.descriptor.digest}`,
  ];
  const both = `${two.host}/m:whatever@${oci.manifest.descriptor.digest}`;
  for (const name of [...byTag, ...byDigest, both]) t.equal(await images.service.pull(name, undefined, never), id, name);
  t.match(images.service.list(), [{ id, repoTags: byTag, repoDigests: [...byDigest, both.replace(':whatever', '')] }]);
  t.equal(images.service.list().length, 1);
  t.equal(layersOf(images).length, 1, 'its layer is there once');
  const fetched = images.events.map((event) => ('layersPulled' in event ? event.layersPulled : -1));
  t.same(fetched, [1, ...Array(fetched.length - 1).fill(0)], 'and was fetched once');
  const before = images.service.list();
  t.same((await images.restart()).list(), before, 'also after a restart');
});

t.test('an image is found by its id, the beginning of it, its tags and digests, and by nothing else', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const tag = await registry.pushImage('a/app', 'v1', oci);
  await registry.pushImage('a/app', 'v2', newer);
  await images.service.pull(tag, undefined, never);
  await images.service.pull(`${registry.host}/a/app:v2`, undefined, never);
  const name = `${registry.host}/a/app`;
  const { digest } = oci.manifest.descriptor;
  const found = [
    id,
    id.slice(7),
    id.slice(0, 15),
    id.slice(7, 14),
    tag,
    `${name}@${digest}`,
    `${name}:v2@${digest}`,
    `${name}:none@${digest}`,
  ];
  for (const text of found) t.equal(images.service.find(text)?.id, id, text);
  const absent = [
    name, // :latest
    `${name}:V1`,
    `${name}x:v1`,
    `${registry.host}/app:v1`,
    `other.io/a/app:v1`,
    `other.io/a/app@${digest}`,
    'a/app:v1',
    `${name}@${id}`, // the id is no manifest's digest
    digest,
    `sha256:${'0'.repeat(64)}`,
    '0'.repeat(64),
    id.slice(7, 13), // too short to be no name
    `${id}0`.slice(7),
    'latest',
  ];
  for (const text of absent) t.equal(images.service.find(text), undefined, text);
  for (const text of [
    '',
    'sha256:',
    ':',
    '@',
    `${name}@`,
    `${name}:`,
    ` ${tag}`,
    `${tag}\n`,
    `${name}@sha256:${'0'.repeat(63)}`,
    id.toUpperCase(),
    '../x',
  ]) {
    t.throws(() => images.service.find(text), { name: 'RuntimeError', kind: 'invalid', reason: 'IMAGE_REFERENCE' }, JSON.stringify(text));
  }
});

t.test('a tag that moves takes itself away from the old image, which keeps its digest, its other tags and its layers', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const digestName = (image: typeof oci): string => `${registry.host}/app@${image.manifest.descriptor.digest}`;
  const [latest, stable] = [await registry.pushImage('app', 'latest', oci), await registry.pushImage('app', 'stable', oci)];
  await images.service.pull(latest, undefined, never);
  await images.service.pull(stable, undefined, never);
  await registry.pushImage('app', 'latest', newer);
  t.equal(await images.service.pull(latest, undefined, never), newer.id);
  t.match(images.service.find(id), { repoTags: [stable], repoDigests: [digestName(oci)] });
  t.match(images.service.find(latest), { id: newer.id, repoTags: [latest], repoDigests: [digestName(newer)] });

  await registry.pushImage('app', 'stable', newer);
  await images.service.pull(stable, undefined, never);
  t.match(images.service.find(id), { repoTags: [], repoDigests: [digestName(oci)] }, 'without a tag');
  t.match(images.service.find(stable), { id: newer.id, repoTags: [latest, stable] });
  t.equal(images.service.find(digestName(oci))?.id, id, 'its digest name still finds it');
  t.match((await images.restart()).find(digestName(oci)), { id, repoTags: [] });

  await registry.pushImage('app', 'latest', oci);
  t.equal(await images.service.pull(latest, undefined, never), id, 'the tag moves back');
  t.match(images.service.find(id), { repoTags: [latest], repoDigests: [digestName(oci)] });
  t.match(images.service.find(newer.id), { repoTags: [stable], repoDigests: [digestName(newer)] });
});

t.test('an image that lost its last tag while a container has it stays listed, and goes when it is removed and let go', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const tag = await registry.pushImage('app', '1', oci);
  await images.service.pull(tag, undefined, never);
  const lowers = images.service.hold(id, 'container');
  await registry.pushImage('app', '1', newer);
  await images.service.pull(tag, undefined, never);
  t.match(images.service.find(id), { repoTags: [], repoDigests: [`${registry.host}/app@${oci.manifest.descriptor.digest}`] });
  await images.service.remove(newer.id);
  t.equal(images.service.find(tag), undefined);
  t.ok(images.service.find(id), 'the removal of the new one is not one of the old one');
  t.same(
    layersOf(images).map((name) => join(images.root, 'layers', name)),
    lowers,
  );

  await images.service.remove(id);
  t.same(images.service.list(), [], 'removed while in use: invisible');
  for (const lower of lowers) t.ok(existsSync(lower), 'but its layers are there');
  await images.service.pull(tag, undefined, never);
  t.match(images.service.list(), [{ id: newer.id, repoTags: [tag] }], 'and it does not come back with another one’s pull');
  const restarted = await images.restart();
  t.match(restarted.list(), [{ id: newer.id }]);
  t.same(restarted.hold(id, 'container'), lowers);
  restarted.release(id, 'container');
  t.equal(restarted.find(id), undefined);
  await restarted.remove(tag);
  t.same(layersOf(images), []);
});

t.test('an image removed while in use and pulled again by another name has that name only', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const [first, second] = [await registry.pushImage('app', '1', oci), await registry.pushImage('other', '2', oci)];
  await images.service.pull(first, undefined, never);
  images.service.hold(id, 'container');
  await images.service.remove(first);
  await images.service.pull(second, undefined, never);
  t.match(images.service.list(), [{ id, repoTags: [second], repoDigests: [`${registry.host}/other@${oci.manifest.descriptor.digest}`] }]);
  t.equal(images.service.find(first), undefined);
  t.match((await images.restart()).list(), [{ id, repoTags: [second] }]);
});
