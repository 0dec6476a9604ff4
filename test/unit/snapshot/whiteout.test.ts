import t from 'tap';
import { parseWhiteout } from '../../../src/snapshot/whiteout.ts';
import type { ByteString } from '../../../src/tar/index.ts';

t.test('whiteouts are told by their names', async (t) => {
  const whiteout = (name: string) => parseWhiteout(name as ByteString);
  t.equal(whiteout('.whatever'), undefined);
  t.same(whiteout('.wh.a'), { kind: 'remove', name: 'a' });
  t.same(whiteout('.wh....'), { kind: 'remove', name: '...' });
  t.same(whiteout('.wh..wh..opq'), { kind: 'opaque' });
  t.same(whiteout('.wh..wh.aufs'), { kind: 'ignored' });
  for (const bad of ['.wh.', '.wh..', '.wh...']) t.throws(() => whiteout(bad), { name: 'RuntimeError', reason: 'IMAGE_LAYER' });
});
