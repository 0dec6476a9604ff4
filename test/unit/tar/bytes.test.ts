import t from 'tap';
import { splitPath } from '../../../src/tar/bytes.ts';
import { parseHeader } from '../../../src/tar/header.ts';

t.test('paths are taken apart', async (t) => {
  t.same(splitPath('/./a//b/./c/'), ['a', 'b', 'c']);
  t.same(splitPath('./'), []);
  t.same(splitPath('...'), ['...']);
  for (const bad of ['..', 'a/../b', '/..', 'a\0b', 'x'.repeat(256), 'x/'.repeat(2100)])
    t.throws(() => splitPath(bad), { name: 'RuntimeError', reason: 'IMAGE_LAYER' });
});

t.test('a block of zeros is no header', async (t) => {
  t.equal(parseHeader(Buffer.alloc(512)), undefined);
});
