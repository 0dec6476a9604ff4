/** Which images the configuration pins: globs over tags, and over digests for images that were pulled without one. */
import t from 'tap';
import type { Digest } from '../../../src/ids/index.ts';
import { Catalog, namesOf } from '../../../src/image/catalog.ts';
import { parseReference } from '../../../src/registry/index.ts';
import { openStore } from '../../../src/store/index.ts';
import { anImage } from '../../fixtures/container-spec.ts';

const DIGEST = `sha256:${'d'.repeat(64)}` as Digest;
const ID = `sha256:${'1'.repeat(64)}` as Digest;

/** Whether an image pulled by `references` is pinned by `globs`. */
function isPinned(globs: readonly string[], ...references: string[]): boolean {
  using store = openStore({ path: ':memory:' });
  const catalog = new Catalog(store, globs, () => true);
  const facts = { id: ID, sizeBytes: 1n, config: anImage(), layers: [], manifestDigest: DIGEST, layerBlobs: [], pulledAtNs: 0n };
  const record = catalog.commit({ ...facts, names: namesOf(references.map(parseReference), DIGEST) });
  const [again] = new Catalog(store, globs, () => true).list();
  t.equal(again?.pinned, record.pinned, 'after a start, too');
  return record.pinned;
}

t.test('a glob is the whole of a name, in its full form', async (t) => {
  const table: [string, string, boolean][] = [
    ['registry.k8s.io/pause:*', 'registry.k8s.io/pause:3.10', true],
    ['registry.k8s.io/pause:3.?', 'registry.k8s.io/pause:3.9', true],
    ['registry.k8s.io/pause:3.?', 'registry.k8s.io/pause:3.10', false],
    ['registry.k8s.io/pause:3.9', 'registry.k8s.io/pause:3x9', false], // a dot is a dot
    ['registry.k8s.io/*', 'registry.k8s.io/a/b/c:1', true],
    ['registry.k8s.io/*', 'evil.io/registry.k8s.io/a:1', false],
    ['*/pause:*', 'a.io/x/pause:1', true],
    ['pause:*', 'registry.k8s.io/pause:1', false],
    ['pause', 'registry.k8s.io/pause:1', false],
    ['docker.io/library/busybox:latest', 'busybox', true],
    ['*', 'busybox', true],
    ['a.io/[x]:1', 'a.io/x:1', false],
    ['a.io/(x|y):1', 'a.io/x:1', false],
    ['', 'busybox', false],
  ];
  for (const [glob, reference, pinned] of table) t.equal(isPinned([glob], reference), pinned, `${glob} and ${reference}`);
});

t.test('one glob of several, and one name of several, are enough', async (t) => {
  t.equal(isPinned(['a.io/x:1', 'a.io/y:1'], 'a.io/y:1'), true);
  t.equal(isPinned(['a.io/y:1'], 'a.io/x:1', 'a.io/y:1'), true);
  t.equal(isPinned([], 'a.io/x:1'), false);
});

t.test('an image pulled by digest is pinned by a glob with an @; other globs mean tags, which move', async (t) => {
  t.equal(isPinned(['a.io/pause@*'], `a.io/pause:3.9@${DIGEST}`), true);
  t.equal(isPinned([`a.io/pause@${DIGEST}`], `a.io/pause@${DIGEST}`), true);
  t.equal(isPinned(['*@sha256:d*'], 'a.io/pause:1'), true, 'whatever it was pulled by');
  t.equal(isPinned(['a.io/pause@*'], `b.io/pause@${DIGEST}`), false);
  t.equal(
    isPinned(['a.io/pause:*', 'a.io/*', '*'], `a.io/pause:3.9@${DIGEST}`),
    false,
    'else a tag that moved on would leave its pin behind',
  );
});
