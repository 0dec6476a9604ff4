/** Removal beside pulls and other removals: each succeeds, and what is there afterwards is whole. */
import { existsSync, readdirSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import type { ImageId } from '../../../src/ids/index.ts';
import { leavesNothing, openImages, type TestImages } from '../../fixtures/image-service.ts';
import { startOddRegistry } from '../../fixtures/odd-registry.ts';

const never = new AbortController().signal;
const built = buildImage({ layers: [{ entries: [{ path: 'base', content: 'b' }] }, { entries: [{ path: 'top', content: 't' }] }] });
const id = built.id as ImageId;
const hexOf = (digest: string): string => digest.slice('sha256:'.length);
const blobsOf = (images: TestImages): string[] => readdirSync(join(images.root, 'content/blobs/sha256'));

/** Every image of the list has all that it is made of, and nothing else is there. */
function isWhole(t: Test, images: TestImages, when: string): void {
  const list = images.service.list();
  const wanted = list.flatMap((image) => [image.id, image.manifestDigest]).map(hexOf);
  t.same(blobsOf(images).sort(), [...new Set(wanted)].sort(), `documents, ${when}`);
  const layers = list.flatMap((image) => image.layers).map(hexOf);
  for (const layer of layers) t.ok(existsSync(join(images.root, 'layers', layer)), `layer, ${when}`);
  t.equal(readdirSync(join(images.root, 'layers')).length, new Set(layers).size, `no other layer, ${when}`);
}

t.test('five removals at once by different names all succeed, and at once none of the names is there', async (t) => {
  const registry = await startOddRegistry(t, [built]);
  const images = openImages(t);
  const names = ['a/x', 'b/y', 'c/z'].map((repository) => `${registry.host}/${repository}:0`);
  for (const name of names) await images.service.pull(name, undefined, never);
  const digestName = `${registry.host}/a/x@${built.manifest.descriptor.digest}`;
  const removals = [...names, digestName, id, id.slice(7, 20)].map((name) => images.service.remove(name));
  for (const name of [...names, digestName, id]) t.equal(images.service.find(name), undefined, 'before they have ended');
  t.same(images.service.list(), []);
  await Promise.all(removals);
  await leavesNothing(t, images);
});

t.test('an image that is removed while it is pulled again by another name is whole, or gone', async (t) => {
  const registry = await startOddRegistry(t, [built]);
  const images = openImages(t);
  const outcomes = { there: 0, gone: 0 };
  for (let round = 0; round < 60; round += 1) {
    await images.service.pull(`${registry.host}/a/x:0`, undefined, never);
    const pulling = images.service.pull(`${registry.host}/b/r${round}:0`, undefined, never);
    await delay(round / 6);
    const removing = images.service.remove(id);
    await Promise.all([pulling, removing, images.service.remove(id)]);
    isWhole(t, images, `round ${round}`);
    outcomes[images.service.find(id) === undefined ? 'gone' : 'there'] += 1;
    await images.service.remove(id);
  }
  t.comment(JSON.stringify(outcomes));
  await leavesNothing(t, images);
});

/** A registry that keeps the answer to the first request for a layer, until `release`. */
async function withHeldLayer(t: Test): Promise<{ host: string; asked: Promise<void>; release: () => void }> {
  const asked = Promise.withResolvers<void>();
  let held: { response: ServerResponse; content: Buffer } | undefined;
  let isOpen = false;
  const { host } = await startOddRegistry(t, [built], (request, response, content) => {
    if (isOpen || content === undefined || request.url?.endsWith(built.layers[1]?.digest ?? '') !== true) return false;
    held = { response, content };
    asked.resolve();
    return true;
  });
  const release = (): void => {
    isOpen = true;
    held?.response.writeHead(200, { 'content-length': held.content.length }).end(held.content);
  };
  return { host, asked: asked.promise, release };
}

t.test('removing what is being pulled for the first time is no error and does not end the pull', async (t) => {
  const { host, asked, release } = await withHeldLayer(t);
  const images = openImages(t);
  const pulling = images.service.pull(`${host}/a/x:0`, undefined, never);
  await asked;
  await images.service.remove(`${host}/a/x:0`);
  await images.service.remove(id);
  t.same(images.service.list(), [], 'there is nothing to remove yet');
  release();
  t.equal(await pulling, id);
  t.same(images.service.find(id)?.repoTags, [`${host}/a/x:0`]);
  isWhole(t, images, 'after the pull');
});

t.test('a layer that a pull under way has found is not freed by a removal', async (t) => {
  const { host, asked, release } = await withHeldLayer(t);
  const base = buildImage({ layers: [{ entries: [{ path: 'base', content: 'b' }] }] });
  const other = await startOddRegistry(t, [base]);
  const images = openImages(t);
  await images.service.pull(`${other.host}/base:0`, undefined, never);
  const pulling = images.service.pull(`${host}/a/x:0`, undefined, never);
  await asked;
  await images.service.remove(base.id);
  t.equal(images.service.find(base.id), undefined);
  release();
  t.equal(await pulling, id);
  t.match(images.events.at(-1), { layersPulled: 1, layersShared: 1 });
  isWhole(t, images, 'after the pull');
});

t.test('a pull beside a removal of the same name brings a whole image, whichever was first', async (t) => {
  const registry = await startOddRegistry(t, [built]);
  const images = openImages(t);
  const name = `${registry.host}/a/x:0`;
  for (let round = 0; round < 20; round += 1) {
    await images.service.pull(name, undefined, never);
    const removing = images.service.remove(name);
    const pulled = await images.service.pull(name, undefined, never);
    await removing;
    t.equal(pulled, id);
    t.ok(images.service.find(name), 'a pull that began after the removal is not undone by it');
    isWhole(t, images, `round ${round}`);
  }
});
