/** Layers from a registry to the root file system of a container: what only shows when all parts work together. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { buildImage, type TarEntry } from '../../../hack/lib/image-builder.ts';
import type { LayerRecord } from '../../../src/snapshot/index.ts';
import { until } from '../../fixtures/eventually.ts';
import { mountImage, openImages } from '../../fixtures/image-service.ts';
import { rawHeader, rawTar } from '../../fixtures/raw-tar.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const never = new AbortController().signal;
const BASE: TarEntry[] = [
  { path: 'bin/', type: 'directory', mode: 0o711, mtime: 9 },
  { path: 'bin/tool', content: 'x'.repeat(5000), mode: 0o4755, uid: 3, mtime: 5 },
];

t.test(
  'a hard link to a file of a lower layer is there after the pull, after a restart, and in another image with the layer',
  async (t) => {
    const registry = await startRegistry(t);
    const images = openImages(t);
    const link: TarEntry[] = [{ path: 'bin/alias', type: 'hardlink', target: 'bin/tool' }];
    const first = await registry.pushImage('links', '1', buildImage({ layers: [{ entries: BASE }, { entries: link }] }));
    const other: TarEntry[] = [{ path: 'bin/tool', content: 'another', mtime: 5 }];
    const second = await registry.pushImage('links', '2', buildImage({ layers: [{ entries: other }, { entries: link }] }));

    const before = images.service.fsUsage();
    const id = await images.service.pull(first, undefined, never);
    const target = mountImage(t, images, id);
    const [alias, tool] = ['bin/alias', 'bin/tool'].map((path) => lstatSync(join(target, path)));
    t.match(alias, { ino: tool!.ino, nlink: 2, uid: 3, size: 5000, mtimeMs: 5000 });
    t.equal(alias!.mode & 0o7777, 0o4755);
    t.match(lstatSync(join(target, 'bin')), { mtimeMs: 9000 }, 'the directory that the link’s layer implies keeps its metadata');
    const after = images.service.fsUsage();
    // base: root, bin, tool, split; link: root, bin, the link’s place, split; fix-up: root, bin, the file
    t.equal(after.inodesUsed - before.inodesUsed, 11n);
    const fixup = images.store.table<LayerRecord>('layers').get(images.service.find(first)!.layers.at(-1)!);
    t.match(fixup, { inodes: 3n, sizeBytes: 5000n, diskBytes: 4n * 4096n });

    const restarted = await images.restart();
    const again = mountImage(t, images, restarted.find(first)!.id);
    t.equal(readFileSync(join(again, 'bin/alias'), 'utf8').length, 5000);
    const records = images.store.table<LayerRecord>('layers').all();
    t.same(
      records.flatMap(({ value }) => value.lowerLinks ?? []),
      [{ path: 'bin/alias', target: 'bin/tool' }],
    );

    const sharing = mountImage(t, images, await restarted.pull(second, undefined, never));
    t.equal(readFileSync(join(sharing, 'bin/alias'), 'utf8'), 'another', 'the layer is shared, its link is not');
  },
);

t.test('an image whose layers cannot be unpacked, or put together, leaves nothing behind', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const bomb = rawTar(rawHeader({ name: 'zeros', size: 8 * 2 ** 30 - 1 }));
  const dangling: TarEntry[] = [{ path: 'bin/alias', type: 'hardlink', target: 'bin/gone' }];
  const before = images.service.fsUsage();
  for (const [what, top, message] of [
    ['bomb', { tar: bomb }, /"zeros", which claims 8589934591 bytes, it unpacks to more than/],
    ['dangling', { entries: dangling }, /"bin\/alias" is a hard link to "bin\/gone", which neither its layer nor one below it holds/],
  ] as const) {
    const name = await registry.pushImage(what, '1', buildImage({ layers: [{ entries: BASE }, top] }));
    await t.rejects(images.service.pull(name, undefined, never), { name: 'RuntimeError', reason: 'IMAGE_LAYER', message }, what);
    t.equal(images.service.find(name), undefined);
    t.same(images.service.fsUsage(), before, `${what}: nothing is counted`);
    await until(() => readdirSync(join(images.root, 'layers')).length === 0, `${what}: no layer is left`);
    t.same(
      readdirSync(join(images.root, 'content')).filter((entry) => lstatSync(join(images.root, 'content', entry)).isFile()),
      [],
      what,
    );
  }
});
