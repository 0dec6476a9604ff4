import t from 'tap';
import { nameImages } from '../../../src/image/archive-names.ts';
import { formatReference } from '../../../src/registry/index.ts';

const image = (names: string[], tags: string[] = []) => ({ names, tags });
const named = (images: ReturnType<typeof image>[], given: string): string[][] =>
  nameImages(images, given, '/a.tar').map(({ references }) => references.map(formatReference));

t.test('without a name of the caller’s an archive’s own full names count', async (t) => {
  t.same(named([image(['busybox:1', 'reg.io/x/y:2']), image([], ['v1']), image([])], ''), [
    ['docker.io/library/busybox:1', 'reg.io/x/y:2'],
    [],
    [],
  ]);
  t.throws(() => named([image(['Reg.io/UPPER'])], ''), { name: 'RuntimeError', reason: 'IMAGE_REFERENCE' });
});

t.test('a name goes to the one image without, or to the only one', async (t) => {
  t.same(named([image(['a:1']), image([])], 'b:2'), [['docker.io/library/a:1'], ['docker.io/library/b:2']]);
  t.same(named([image(['a:1'])], 'b'), [['docker.io/library/a:1', 'docker.io/library/b:latest']]);
  t.same(named([image([], ['v1'])], 'host:5000/b:2'), [['host:5000/b:2']], 'a tag of the caller’s wins over a bare one');
  t.throws(() => named([image([]), image([])], 'b:2'), {
    name: 'RuntimeError',
    reason: 'INVALID_ARGUMENT',
    message: /\/a\.tar holds 2 images without a name/,
  });
  t.throws(() => named([image(['a:1']), image(['b:1'])], 'c'), {
    name: 'RuntimeError',
    reason: 'INVALID_ARGUMENT',
    message: /2 images with names of their own/,
  });
});

t.test('a name without a tag completes bare tags', async (t) => {
  t.same(named([image([], ['v1', 'v2']), image([], ['v3']), image(['a:1'])], 'host:5000/b'), [
    ['host:5000/b:v1', 'host:5000/b:v2'],
    ['host:5000/b:v3'],
    ['docker.io/library/a:1'],
  ]);
  t.same(named([image([], ['v1'])], 'b'), [['docker.io/library/b:v1']]);
  t.throws(() => named([image([], ['no tag!'])], 'b'), { name: 'RuntimeError', reason: 'IMAGE_REFERENCE' });
});
