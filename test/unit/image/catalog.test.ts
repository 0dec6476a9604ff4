import t from 'tap';
import type { Digest } from '../../../src/ids/index.ts';
import { Catalog, namesOf, type PulledImage } from '../../../src/image/catalog.ts';
import { parseReference } from '../../../src/registry/index.ts';
import { openStore } from '../../../src/store/index.ts';
import { anImage } from '../../fixtures/container-spec.ts';

const digest = (start: string): Digest => `sha256:${start.padEnd(64, '0')}` as Digest;
const config = anImage();
const image = (id: string, reference: string): PulledImage => ({
  id: digest(id),
  sizeBytes: 1n,
  config,
  layers: [digest(`aa${id}`)],
  manifestDigest: digest(`bb${id}`),
  layerBlobs: [],
  pulledAtNs: 0n,
  names: namesOf([parseReference(reference)], digest(`cc${id}`)),
});

t.test('ids are found by a prefix that is long enough and unique, but a name comes first', async (t) => {
  using store = openStore({ path: ':memory:' });
  const catalog = new Catalog(store, [], () => true);
  catalog.commit(image('cafe0001', 'a.io/one'));
  catalog.commit(image('cafe0002', 'a.io/two'));
  t.match(catalog.find('cafe0001'), { id: digest('cafe0001') });
  t.match(catalog.find('sha256:cafe0002'), { id: digest('cafe0002') });
  t.throws(() => catalog.find('sha256:cafe'), { name: 'RuntimeError', reason: 'AMBIGUOUS_ID' });
  t.throws(() => catalog.find('cafe000'), { name: 'RuntimeError', reason: 'AMBIGUOUS_ID' });
  t.equal(catalog.find('cafe'), undefined, 'too short for an id: it is the name of an image that is not here');
  t.equal(catalog.find(digest('cafe')), undefined);
  catalog.commit(image('dd', 'cafe0001'));
  t.match(catalog.find('cafe0001'), { id: digest('dd') }, 'an image of that very name');
  t.throws(() => catalog.find('No Name'), { name: 'RuntimeError', reason: 'IMAGE_REFERENCE' });
});

t.test('a digest reference gives no tag; pins follow the tags', async (t) => {
  using store = openStore({ path: ':memory:' });
  const catalog = new Catalog(store, ['a.io/keep*:v?'], () => true);
  const byDigest = catalog.commit(image('1', `a.io/x:v1@${digest('cc1')}`));
  t.same([byDigest.repoTags, byDigest.repoDigests], [[], [`a.io/x@${digest('cc1')}`]]);
  t.match(catalog.find(`a.io/x:other@${digest('cc1')}`), { id: digest('1') }, 'the digest decides');
  t.equal(catalog.commit(image('2', 'a.io/keep/this:v1')).pinned, true);
  t.equal(catalog.commit(image('3', 'a.io/keep/this:v10')).pinned, false);
  catalog.commit(image('4', 'a.io/keep/this:v1'));
  t.match(catalog.find(digest('2')), { pinned: false, repoTags: [] }, 'it lost its tag and with it its pin');
});

t.test('a store that cannot be written leaves memory as it was', async (t) => {
  const store = openStore({ path: ':memory:' });
  const catalog = new Catalog(store, [], () => true);
  catalog.commit(image('1', 'a.io/x:v1'));
  store[Symbol.dispose]();
  t.throws(() => catalog.commit(image('2', 'a.io/x:v1')));
  t.throws(() => catalog.remove(digest('1')));
  t.match(catalog.find('a.io/x:v1'), { id: digest('1') });
  t.same(
    catalog.list().map(({ id }) => id),
    [digest('1')],
  );
});

t.test('an image of an archive may bring several names, or none; tags of several images move at once', async (t) => {
  using store = openStore({ path: ':memory:' });
  const catalog = new Catalog(store, [], () => true);
  const named = (id: string, ...references: string[]): PulledImage => ({
    ...image(id, 'a.io/x'),
    names: namesOf(references.map(parseReference), undefined),
  });
  catalog.commit(named('1', 'a.io/x:1', 'a.io/x:2', 'a.io/x:3'));
  catalog.commit(named('2', 'a.io/y:1'));
  const taken = catalog.commit(named('3', 'a.io/x:1', 'a.io/x:2', 'a.io/y:1', 'a.io/x:1'));
  t.same([taken.repoTags, taken.repoDigests], [['a.io/x:1', 'a.io/x:2', 'a.io/y:1'], []]);
  t.same(catalog.find(digest('1'))?.repoTags, ['a.io/x:3']);
  t.same(catalog.find(digest('2'))?.repoTags, []);
  t.same(new Catalog(store, [], () => true).find('a.io/y:1')?.id, digest('3'), 'on disk too');
  catalog.commit(named('3'));
  t.same(catalog.find(digest('3'))?.repoTags, taken.repoTags, 'coming again without a name takes none away');
});

t.test('a pin of its own stays with the image, not with the tag, until it is removed', async (t) => {
  using store = openStore({ path: ':memory:' });
  const catalog = new Catalog(store, [], () => true);
  t.equal(catalog.commit({ ...image('1', 'a.io/x:1'), keep: true }).pinned, true);
  t.equal(catalog.commit(image('1', 'a.io/x:2')).pinned, true, 'pulled again');
  catalog.commit(image('2', 'a.io/x:1'));
  t.match(catalog.find('a.io/x:1'), { id: digest('2'), pinned: false });
  const again = new Catalog(store, [], () => true);
  t.match(again.find(digest('1')), { pinned: true, keep: true });
  again.remove(digest('1'));
  t.equal(again.commit(image('1', 'a.io/x:1')).pinned, false);
});

t.test('what is in use is kept beyond a removal, and no longer than it is in use', async (t) => {
  using store = openStore({ path: ':memory:' });
  const catalog = new Catalog(store, [], () => true);
  const record = catalog.commit(image('1', 'a.io/x:1'));
  const first = catalog.use(record);
  const second = catalog.use(record);
  catalog.remove(record.id);
  first[Symbol.dispose]();
  t.same([...catalog.layersInUse()], record.layers);
  t.same([...catalog.blobsInUse()], [record.id, record.manifestDigest]);
  t.same(new Catalog(store, [], () => true).list(), [], 'it is gone for the next start');
  second[Symbol.dispose]();
  t.same([...catalog.layersInUse(), ...catalog.blobsInUse()], []);
});
