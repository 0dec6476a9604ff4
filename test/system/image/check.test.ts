/** Verifying and repairing what pulls brought: `berth check --images`. */
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type BuiltImage, buildImage } from '../../../hack/lib/image-builder.ts';
import type { CheckRequest, CheckStep, CheckSummary, LayerCheck } from '../../../src/image/index.ts';
import { openImages, type TestImages } from '../../fixtures/image-service.ts';
import { type Registry, startRegistry } from '../../fixtures/registry.ts';

const never = new AbortController().signal;

/** Two layers; the second implies /tmp, so that a fix-up layer is on top. */
const IMAGE: BuiltImage = buildImage({
  layers: [
    {
      entries: [
        { path: 'tmp/', type: 'directory', mode: 0o1777 },
        { path: 'bin/', type: 'directory' },
        { path: 'bin/tool', content: 'tool'.repeat(1000), mode: 0o755 },
        ...Array.from({ length: 300 }, (_, at) => ({ path: `bin/file-${at}`, content: `file ${at}\n`.repeat(at) })),
      ],
    },
    { entries: [{ path: 'tmp/seed', content: 'seed' }] },
  ],
});

async function check(images: TestImages, request: Partial<CheckRequest> = {}): Promise<{ layers: LayerCheck[]; summary: CheckSummary }> {
  const steps: CheckStep[] = [];
  for await (const step of images.service.check({ images: [], repair: false, ...request }, never)) steps.push(step);
  const last = steps.pop();
  if (last === undefined || !('summary' in last)) throw new Error('no summary');
  return { layers: steps.flatMap((step) => ('layer' in step ? [step.layer] : [])), summary: last.summary };
}

async function pulled(t: Test): Promise<{ images: TestImages; registry: Registry; name: string; fileOf: (path: string) => string }> {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const name = await registry.pushImage('check', '1', IMAGE);
  await images.service.pull(name, undefined, never);
  const fileOf = (path: string): string => {
    const layers = join(images.root, 'layers');
    const dir = readdirSync(layers).find(
      (layer) => !layer.startsWith('tmp-') && statSync(join(layers, layer, path), { throwIfNoEntry: false }) !== undefined,
    );
    if (dir === undefined) throw new Error(`no layer has ${path}`);
    return join(layers, dir, path);
  };
  return { images, registry, name, fileOf };
}

/** Another content of the same length and time. */
function rot(file: string): void {
  const { atime, mtime } = statSync(file);
  const bytes = readFileSync(file);
  bytes[0] = (bytes[0] ?? 0) ^ 0xff;
  writeFileSync(file, bytes);
  utimesSync(file, atime, mtime);
}

t.test('a whole store is found whole, and a walk confirms its counters', async (t) => {
  const { images } = await pulled(t);
  const { layers, summary } = await check(images);
  t.same(
    layers.map(({ outcome, problems }) => ({ outcome, problems })),
    Array(3).fill({ outcome: 'whole', problems: [] }),
    'two layers and the fix-up',
  );
  t.match(summary, { layers: 3, damaged: 0, repaired: 0 });
  t.same(summary.walked, summary.counted, 'to the byte, on ext4');
  const { usedBytes, inodesUsed } = images.service.fsUsage();
  t.ok(usedBytes > summary.counted.diskBytes, 'and the documents of the image');
  t.equal(inodesUsed, summary.counted.inodes + 2n);
});

t.test('a damaged layer is named with its files, remembered, and repaired alone', async (t) => {
  const { images, name, fileOf } = await pulled(t);
  rot(fileOf('bin/tool'));
  const found = await check(images);
  t.match(found.summary, { layers: 3, damaged: 1, repaired: 0 });
  const bad = found.layers.find(({ outcome }) => outcome === 'damaged');
  t.same(bad?.problems, ['"bin/tool": its content is not what it was']);
  t.same(bad?.images, [name]);
  const service = await images.restart();
  t.ok(service.find(name), 'the image is still there: containers may need what is whole of it');
  const healed = await check(images, { repair: true });
  t.match(healed.summary, { layers: 3, damaged: 1, repaired: 1 });
  t.match(images.events.at(-1), { layersPulled: 1, layersShared: 1 }, 'only the bad layer came again');
  t.equal(readFileSync(fileOf('bin/tool'), 'utf8').slice(0, 4), 'tool');
  t.match((await check(images)).summary, { damaged: 0 });
});

t.test('a damaged fix-up layer is made anew', async (t) => {
  const { images, fileOf } = await pulled(t);
  const fixup = readdirSync(join(images.root, 'layers')).find(
    (layer) =>
      !layer.includes('.') &&
      readdirSync(join(images.root, 'layers', layer)).join() === 'tmp' &&
      !statSync(fileOf('tmp/seed')).isDirectory() &&
      statSync(join(images.root, 'layers', layer, 'tmp/seed'), { throwIfNoEntry: false }) === undefined,
  );
  if (fixup === undefined) throw new Error('there is no fix-up layer');
  writeFileSync(join(images.root, 'layers', fixup, 'tmp/planted'), '');
  const healed = await check(images, { repair: true });
  t.match(healed.summary, { damaged: 1, repaired: 1 });
  t.match((await check(images)).summary, { damaged: 0 });
});

t.test('an ordinary pull repairs what a check found', async (t) => {
  const { images, name, fileOf } = await pulled(t);
  rot(fileOf('bin/tool'));
  await check(images, { images: [name] });
  await images.service.pull(name, undefined, never);
  t.match((await check(images)).summary, { damaged: 0 });
});

t.test('what cannot be repaired stays, with the reason', async (t) => {
  const { images, registry, name, fileOf } = await pulled(t);
  rot(fileOf('bin/tool'));
  await registry.stop();
  const { layers, summary } = await check(images, { repair: true });
  t.match(summary, { damaged: 1, repaired: 0 });
  t.match(layers.find(({ outcome }) => outcome === 'damaged')?.error, /the registry cannot be reached or fails.*connection refused/);
  t.ok(images.service.find(name));
  t.match((await check(images)).summary, { damaged: 1 });
});

t.test('an unknown image is refused, and a check that is given up ends', async (t) => {
  const { images } = await pulled(t);
  await t.rejects(check(images, { images: ['nothing:1'] }), { reason: 'IMAGE_NOT_FOUND', message: /"nothing:1" is not on this node/ });
  const gone = images.service.check({ images: [], repair: false }, AbortSignal.abort());
  await t.rejects(gone.next(), { reason: 'CANCELLED', message: /gave up/ });
  await images.service.remove(images.service.list()[0]?.id ?? '');
  t.match((await check(images)).summary, { layers: 0, counted: { diskBytes: 0n, inodes: 0n } });
  for (const place of ['layers', 'splits']) t.same(readdirSync(join(images.root, place)), [], `nothing stays behind in ${place}`);
});
