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
