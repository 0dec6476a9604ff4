import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import type { ImageId } from '../../../src/ids/index.ts';
import type { LayerRecord } from '../../../src/snapshot/index.ts';
import { openImages, type TestImages } from '../../fixtures/image-service.ts';
import { type OddRegistry, startOddRegistry } from '../../fixtures/odd-registry.ts';

const never = new AbortController().signal;
const BASE = { entries: [{ path: 'base', content: 'b' }] };
const one = buildImage({ layers: [BASE, { entries: [{ path: 'one', content: '1' }] }] });
const two = buildImage({ layers: [BASE, { entries: [{ path: 'two', content: '2' }] }] });

const oneId = one.id as ImageId;

/** A store with both images; one has names in two repositories. */
async function withBoth(t: Test): Promise<{ images: TestImages; registry: OddRegistry }> {
  const registry = await startOddRegistry(t, [one, two]);
  const images = openImages(t);
  for (const name of ['a/app:0', 'b/app:0', 'a/app:1']) await images.service.pull(`${registry.host}/${name}`, undefined, never);
  return { images, registry };
}

const layersOf = (images: TestImages): string[] => readdirSync(join(images.root, 'layers')).sort();
const hexOf = (...digests: string[]): string[] => digests.map((digest) => digest.slice('sha256:'.length)).sort();

t.test('any name removes the image with all its names at once, and only the layers nobody else has', async (t) => {
  const { images, registry } = await withBoth(t);
  t.equal(layersOf(images).length, 3);
  const before = images.service.fsUsage();
  await images.service.remove(`${registry.host}/b/app:0`);
  for (const name of [one.id, `${registry.host}/a/app:0`, `${registry.host}/b/app:0`]) t.equal(images.service.find(name), undefined);
  t.same(layersOf(images), hexOf(...two.diffIds));
  t.ok(images.service.fsUsage().usedBytes < before.usedBytes);
  t.same(readdirSync(join(images.root, 'content/blobs/sha256')).sort(), hexOf(two.id, two.manifest.descriptor.digest));
  await images.service.remove(two.id);
  t.match(images.service.fsUsage(), { usedBytes: 0n, inodesUsed: 0n });
  t.same(layersOf(images), []);
});

t.test('removing is idempotent and safe side by side; a malformed name is refused', async (t) => {
  const { images, registry } = await withBoth(t);
  await Promise.all(
    [one.id, one.id, `${registry.host}/a/app:0`, `${registry.host}/b/app:0`, one.id].map((name) => images.service.remove(name)),
  );
  await images.service.remove(one.id);
  await images.service.remove('no.such.host/image:1');
  t.same(
    images.service.list().map((image) => image.id),
    [two.id],
  );
  await t.rejects(images.service.remove('a//b'), { name: 'RuntimeError', reason: 'IMAGE_REFERENCE' });
});

t.test('a removed image that is held is invisible, keeps its layers over a restart, and goes with the last hold', async (t) => {
  const { images } = await withBoth(t);
  const lowers = images.service.hold(oneId, 'c1');
  images.service.hold(oneId, 'c2');
  await images.service.remove(one.id);
  t.equal(images.service.find(one.id), undefined);
  t.equal(layersOf(images).length, 3);
  const restarted = await images.restart();
  t.equal(restarted.find(one.id), undefined);
  t.same(restarted.hold(oneId, 'c1'), lowers, 'a container that was recovered holds it again');
  restarted.release(oneId, 'c1');
  restarted.release(oneId, 'c1');
  t.equal(layersOf(images).length, 3, 'the other one still holds it');
  restarted.release(oneId, 'c2');
  t.same(layersOf(images), hexOf(...two.diffIds));
  t.throws(() => restarted.hold(oneId, 'c3'), { name: 'RuntimeError', reason: 'IMAGE_NOT_FOUND' });
});

t.test('a held image that is pulled again is an ordinary one', async (t) => {
  const { images, registry } = await withBoth(t);
  images.service.hold(oneId, 'c1');
  await images.service.remove(one.id);
  t.equal(await images.service.pull(`${registry.host}/a/app:0`, undefined, never), one.id);
  t.match(images.events.at(-1), { layersPulled: 0, layersShared: 2 }, 'nothing had to be fetched');
  images.service.release(oneId, 'c1');
  t.ok(images.service.find(one.id));
  t.equal(layersOf(images).length, 3);
});

t.test('after a restart everything is as before, and what a crash left behind is gone', async (t) => {
  const { images } = await withBoth(t);
  const before = { list: images.service.list(), usage: images.service.fsUsage(), layers: layersOf(images) };
  await images.service.close();
  const litter = ['layers/tmp-crashed', `layers/${'0'.repeat(64)}`, 'content/parts/x.part'];
  for (const path of litter) {
    mkdirSync(join(images.root, path), { recursive: true });
    writeFileSync(join(images.root, path, 'file'), 'x');
  }
  writeFileSync(join(images.root, 'content/blobs/sha256', 'f'.repeat(64)), 'unknown');
  const restarted = await images.restart();
  const byId = (a: { id: string }, b: { id: string }): number => a.id.localeCompare(b.id);
  t.same(restarted.list().sort(byId), before.list.sort(byId));
  t.same(restarted.fsUsage(), before.usage);
  t.same(layersOf(images), before.layers);
  for (const path of [...litter, `content/blobs/sha256/${'f'.repeat(64)}`]) t.notOk(existsSync(join(images.root, path)), path);
});

t.test('an image whose layer is gone is absent after a restart, its other layers are freed, and it can be pulled again', async (t) => {
  const { images, registry } = await withBoth(t);
  await images.service.close();
  rmSync(join(images.root, 'layers', hexOf(one.diffIds[1]!)[0]!), { recursive: true });
  const restarted = await images.restart();
  t.equal(restarted.find(one.id), undefined);
  t.ok(restarted.find(two.id));
  t.same(layersOf(images), hexOf(...two.diffIds));
  t.equal(await restarted.pull(`${registry.host}/a/app:0`, undefined, never), one.id);
  t.match(images.events.at(-1), { layersPulled: 1, layersShared: 1 });
});

t.test('layers become durable in the background; after a reboot the ones that were not are dropped', async (t) => {
  const { images } = await withBoth(t);
  const table = images.store.table<LayerRecord>('layers');
  for (let tries = 0; tries < 200 && table.all().some(({ value }) => !value.durable); tries += 1) await delay(50);
  t.same(new Set(table.all().map(({ value }) => value.durable)), new Set([true]));
  await images.service.close();
  for (const { id, value } of table.all()) {
    table.put(id, { ...value, bootId: 'another boot', durable: id !== one.diffIds[1] });
  }
  const restarted = await images.restart();
  t.equal(restarted.find(one.id), undefined);
  t.ok(restarted.find(two.id));
  t.same(layersOf(images), hexOf(...two.diffIds));
});
