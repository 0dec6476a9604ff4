// The import directory: what is loaded, skipped and told, and how pulls wait for it.
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import { buildTar } from '../../../hack/lib/tar.ts';
import { dockerEntries, layoutFiles, refName, scratchDir, tarOf, writeDirectory } from '../../fixtures/archives.ts';
import { until } from '../../fixtures/eventually.ts';
import { openImages, type TestImages } from '../../fixtures/image-service.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const never = new AbortController().signal;
const images = ['a', 'b', 'c', 'd'].map((name) =>
  buildImage({ layers: [{ entries: [{ path: name, content: name }] }], config: { Labels: { name } } }),
);
const [a, b, c, d] = images as [(typeof images)[0], (typeof images)[0], (typeof images)[0], (typeof images)[0]];

/** A store with an import directory of the test's. */
function store(t: Test): TestImages & { dir: string } {
  const dir = join(scratchDir(t), 'import');
  return Object.assign(openImages(t, { importDir: dir }), { dir });
}

const logged = (images: TestImages, message: string): Record<string, unknown>[] =>
  images.log.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === message);

/** Begins the import and waits for its end. */
async function imported(images: TestImages): Promise<void> {
  images.service.beginImport();
  // a pull that no import answers waits for its end; it then fails for lack of a registry
  await images.service.pull('127.0.0.1:1/nowhere:1', undefined, never).catch(() => undefined);
}

t.test('archives of every form are loaded in order and pinned; what is none is left alone', async (t) => {
  const opened = store(t);
  const { dir, service } = opened;
  mkdirSync(dir);
  writeFileSync(join(dir, '2.tar.gz'), gzipSync(buildTar(dockerEntries([{ image: a, tags: ['a:1'] }]))));
  writeFileSync(join(dir, '3.tar.zst'), zstdCompressSync(tarOf(layoutFiles([{ image: b, annotations: refName('reg.io/b:1') }]))));
  writeFileSync(join(dir, '1.tar'), tarOf(layoutFiles([{ image: c, annotations: refName('reg.io/c:1') }])));
  writeDirectory(join(dir, '0-layout'), layoutFiles([{ image: d }]));
  writeDirectory(join(dir, 'notes'), { README: 'x' });
  writeFileSync(join(dir, 'README.txt'), 'x');
  writeFileSync(join(dir, '.2.tar.partial.tar'), 'being copied');
  await imported(opened);
  t.same(
    logged(opened, 'archive imported').map(({ path }) => path),
    ['0-layout', '1.tar', '2.tar.gz', '3.tar.zst'].map((name) => join(dir, name)),
  );
  t.same(logged(opened, 'archive not imported'), []);
  t.same(
    service
      .list()
      .map(({ id, pinned }) => [id, pinned])
      .sort(),
    images.map(({ id }) => [id, true]).sort(),
  );
  t.same(readdirSync(join(opened.root, 'content/scratch')), []);
});

t.test('no directory is fine', async (t) => {
  const images = store(t);
  await imported(images);
  t.same(images.service.list(), []);
  t.same(logged(images, 'the import directory cannot be read'), []);
});

t.test('a broken archive is told and does not hold up the others; it is tried again at the next start', async (t) => {
  const images = store(t);
  writeDirectory(images.dir, {
    '1.tar': 'no tar at all'.repeat(100),
    '2.tar': tarOf(layoutFiles([{ image: a, annotations: refName('a:1') }])),
  });
  await imported(images);
  t.match(logged(images, 'archive not imported'), [
    { level: 'warn', path: join(images.dir, '1.tar'), reason: 'IMAGE_ARCHIVE', message: /it is not a tar archive/ },
  ]);
  t.ok(images.service.find('a:1'));
  writeFileSync(join(images.dir, '1.tar'), tarOf(layoutFiles([{ image: b, annotations: refName('b:1') }])));
  await images.restart();
  await imported(images);
  t.ok(images.service.find('b:1'));
});

t.test('what is unchanged and still there is not read again; what changed or was removed is', async (t) => {
  const images = store(t);
  const tar = (image: typeof a, name: string) => tarOf(layoutFiles([{ image, annotations: refName(name) }]));
  writeDirectory(images.dir, { '1.tar': tar(a, 'a:1'), '2.tar': tar(b, 'b:1'), '3.tar': tar(c, 'c:1') });
  const importedNow = async (): Promise<string[]> => {
    const before = logged(images, 'archive imported').length;
    await imported(images);
    return logged(images, 'archive imported')
      .slice(before)
      .map(({ path }) => String(path).slice(-5));
  };
  t.same(await importedNow(), ['1.tar', '2.tar', '3.tar']);
  await images.restart();
  t.same(await importedNow(), [], 'nothing the second time');

  await images.service.remove('a:1');
  const { size, mtimeMs } = statSync(join(images.dir, '2.tar'));
  writeFileSync(join(images.dir, '2.tar'), tar(d, 'd:1'));
  t.equal(statSync(join(images.dir, '2.tar')).size, size, 'of the same size');
  utimesSync(join(images.dir, '2.tar'), new Date(), new Date(mtimeMs + 1000));
  await images.restart();
  t.same(await importedNow(), ['1.tar', '2.tar'], 'the removed image comes back, the changed archive is read');
  t.ok(images.service.find('a:1') && images.service.find('d:1'));

  rmSync(join(images.dir, '3.tar'));
  await images.restart();
  t.same(await importedNow(), []);
  t.ok(images.service.find('c:1'), 'an image outlives its archive');
  t.same(
    images.store
      .table('imports')
      .all()
      .map(({ id }) => id.slice(-5)),
    ['1.tar', '2.tar'],
    'which is forgotten',
  );
});

t.test('a pull waits for the import and is answered by it when it brings the very reference', async (t) => {
  const registry = await startRegistry(t);
  const images = store(t);
  const digestName = `127.0.0.1:1/b@${b.manifest.descriptor.digest}`;
  writeDirectory(images.dir, {
    '1.tar': tarOf(layoutFiles([{ image: a, annotations: refName('127.0.0.1:1/a:1') }])),
    '2.tar': tarOf(layoutFiles([{ image: b, annotations: refName('127.0.0.1:1/b:1') }])),
  });
  const other = await registry.pushImage('other', '1', c);
  images.service.beginImport();
  const leaving = new AbortController();
  const left = images.service.pull(other, undefined, leaving.signal);
  leaving.abort();
  await t.rejects(left, { name: 'RuntimeError', reason: 'CANCELLED' }, 'a caller may leave while it waits');
  const answers = ['127.0.0.1:1/a:1', '127.0.0.1:1/b:1', digestName, `127.0.0.1:1/b:9@${b.manifest.descriptor.digest}`].map((name) =>
    images.service.pull(name, undefined, never),
  );
  const pulled = images.service.pull(other, undefined, never);
  t.same(await Promise.all(answers), [a.id, b.id, b.id, b.id], 'without a registry');
  t.equal(await pulled, c.id);
  const order = images.service.pulls().map(({ reference }) => reference.split(': ').at(-1));
  t.ok(order.indexOf(other) > order.indexOf('127.0.0.1:1/b:1'), 'the pull that nothing answers comes after the import');
  await t.rejects(
    images.service.pull('127.0.0.1:1/a:1', undefined, never),
    { name: 'RuntimeError', reason: 'REGISTRY_UNAVAILABLE' },
    'afterwards a pull is a pull',
  );
});

t.test('closing ends an import under way', async (t) => {
  const images = store(t);
  writeDirectory(images.dir, {
    '1.tar.gz': gzipSync(Buffer.alloc(64 << 20), { level: 1 }),
    '2.tar': tarOf(layoutFiles([{ image: a, annotations: refName('a:1') }])),
  });
  images.service.beginImport();
  await until(() => readdirSync(join(images.root, 'content/scratch')).length > 0, 'the first archive is being decompressed');
  await images.service.close();
  t.same(readdirSync(join(images.root, 'content/scratch')), []);
  t.same(images.service.list(), []);
  await images.restart();
});
