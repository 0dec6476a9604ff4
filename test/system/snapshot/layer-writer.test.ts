/** What the writer of a layer keeps in memory while a layer of any size goes through it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { LayerWriter } from '../../../src/snapshot/layer-writer.ts';
import type { ByteString } from '../../../src/tar/bytes.ts';

t.test('a directory’s attributes are not kept until the end, of which a small layer may have gigabytes', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'berth-writer-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  using writer = new LayerWriter(dir);
  const kept = ['./', 'd/'].map((path) => {
    const xattrs = new Map([['trusted.ignored', Buffer.alloc(1024 * 1024)]]);
    const fixed = { linkPath: '' as ByteString, mode: 0o755, uid: 0, gid: 0, size: 0, storedBytes: 0, deviceMajor: 0, deviceMinor: 0 };
    writer.begin({ ...fixed, path: path as ByteString, type: 'directory', mtime: { seconds: 1, nanoseconds: 0 }, xattrs });
    writer.end();
    return new WeakRef(xattrs);
  });
  await nextTurn(); // a WeakRef holds its target for the turn it was made in
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  t.same(
    kept.map((attributes) => attributes.deref()),
    [undefined, undefined],
  );
});
