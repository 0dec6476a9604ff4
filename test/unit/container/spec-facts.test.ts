/** Facts of the host and its devices. */
import { statSync } from 'node:fs';
import t from 'tap';
import { gatherDevices, numbersOf } from '../../../src/container/spec-devices.ts';
import { gatherHostFacts, hugepageSize } from '../../../src/container/spec-host.ts';

t.test('device numbers', async (t) => {
  t.strictSame(numbersOf(0x103), { major: 1, minor: 3 });
  t.strictSame(numbersOf((259 << 8) | 5), { major: 259, minor: 5 });
  t.strictSame(numbersOf((8 << 8) | 0xff | (0x345 << 20)), { major: 8, minor: 0x345ff });
});

t.test('devices asked for', async (t) => {
  const device = { hostPath: '/dev/zero', containerPath: '', permissions: 'rw' };
  const [zero] = await gatherDevices([{ ...device, containerPath: '/dev/other' }], false);
  t.match(zero, { path: '/dev/other', type: 'c', major: 1, minor: 5, access: 'rw', fileMode: statSync('/dev/zero').mode & 0o7777 });
  t.match(await gatherDevices([{ ...device, permissions: '' }], false), [{ path: '/dev/zero', access: 'rwm' }]);
  const refused: [Partial<typeof device>, object][] = [
    [{ permissions: 'x' }, { name: 'RuntimeError', reason: 'INVALID_ARGUMENT' }],
    [{ hostPath: '/dev/no-such-device' }, { name: 'RuntimeError', reason: 'MOUNT_SOURCE' }],
    [{ hostPath: '/etc/passwd' }, { name: 'RuntimeError', reason: 'MOUNT_SOURCE', message: /not a device/ }],
  ];
  for (const [change, error] of refused) await t.rejects(gatherDevices([{ ...device, ...change }], false), error as Error);
});

t.test('privileged: every device of the host, but not what containers have themselves', async (t) => {
  const nodes = await gatherDevices([{ hostPath: '/dev/zero', containerPath: '', permissions: 'r' }], true);
  const paths = nodes.map((node) => node.path);
  t.ok(paths.includes('/dev/null'));
  t.strictSame(
    paths.filter((path) => /^\/dev\/(?:pts\/|shm\/|console$|ptmx$)/.test(path)),
    [],
  );
  t.match(
    nodes.filter((node) => node.path === '/dev/zero'),
    [{ access: 'r' }],
    'one asked for is there once, as asked',
  );
});

t.test('names of huge page sizes are kubelet’s', async (t) => {
  t.equal(hugepageSize('hugepages-2048kB'), '2MB');
  t.equal(hugepageSize('hugepages-1048576kB'), '1GB');
  t.equal(hugepageSize('hugepages-64kB'), '64KB');
  t.equal(hugepageSize('other'), undefined);
});

t.test('facts of this host', async (t) => {
  const facts = gatherHostFacts({ mode: 'v1', legacy: {}, controllers: [] });
  t.equal(facts.cgroupVersion, 1);
  t.equal(facts.swapAccounting, false);
  t.strictSame([...facts.hugepageSizes], []);
  t.ok(facts.openFilesLimit > 0 && facts.openFilesLimit <= 1_048_576);
});
