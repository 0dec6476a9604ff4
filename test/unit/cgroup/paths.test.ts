import t from 'tap';
import { checkParent, checkPath, expandSlice, isLeafName, leafPath, ociPath } from '../../../src/cgroup/paths.ts';

const ID = 'ab'.repeat(32);
const refused = { name: 'RuntimeError', reason: 'CGROUP_FAILED', kind: 'invalid' };

t.test('a slice expands into the slices above it', async (t) => {
  t.equal(expandSlice('a.slice'), '/a.slice');
  t.equal(expandSlice('a-b-c.slice'), '/a.slice/a-b.slice/a-b-c.slice');
  t.equal(expandSlice('-.slice'), '/');
  for (const bad of ['', '.slice', 'a', 'a--b.slice', '-a.slice', 'a-.slice', 'a/b.slice']) t.throws(() => expandSlice(bad), refused, bad);
});

t.test('cgroupfs paths', async (t) => {
  t.equal(leafPath('cgroupfs', '/kubepods/podX', ID), `/kubepods/podX/berth-${ID}`);
  t.equal(leafPath('cgroupfs', '/', ID), `/berth-${ID}`);
  t.equal(ociPath('cgroupfs', '/kubepods/podX', ID), `/kubepods/podX/berth-${ID}`);
});

t.test('systemd paths, from the whole path kubelet sends or the name alone', async (t) => {
  const whole = '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podX.slice';
  for (const parent of [whole, 'kubepods-burstable-podX.slice']) {
    t.equal(leafPath('systemd', parent, ID), `${whole}/berth-${ID}.scope`);
    t.equal(ociPath('systemd', parent, ID), `kubepods-burstable-podX.slice:berth:${ID}`);
    t.doesNotThrow(() => checkParent('systemd', parent));
  }
});

t.test('a parent of the other driver is refused', async (t) => {
  t.throws(() => checkParent('cgroupfs', '/kubepods.slice'), refused);
  t.throws(() => checkParent('systemd', '/kubepods/podX'), refused);
  t.throws(() => checkParent('systemd', '/../a.slice'), refused);
  t.doesNotThrow(() => checkParent('cgroupfs', '/'));
});

t.test('paths that could leave the hierarchy are refused', async (t) => {
  for (const bad of ['', '/', 'a', '/a//b', '/a/', '/a/../b', '/./a', '/a\0b', `/${'x'.repeat(256)}`, '/x'.repeat(2049)]) {
    t.throws(() => checkPath(bad), refused, JSON.stringify(bad).slice(0, 20));
  }
  t.doesNotThrow(() => checkPath('/a/b.slice'));
});

t.test('only berth’s own leaf names are known', async (t) => {
  t.ok(isLeafName(`berth-${ID}`));
  t.ok(isLeafName(`berth-${ID}.scope`));
  for (const other of [ID, `crio-${ID}`, `berth-${ID}x`, 'berth-1', `xberth-${ID}`]) t.notOk(isLeafName(other), other);
});
