// What each check makes of what it saw; the seeing itself is tried by the system test.
import t from 'tap';
import { report } from '../../../../src/cli/commands/doctor.ts';
import { controllersCheck, layoutCheck } from '../../../../src/cli/doctor/cgroup.ts';
import { fail, ok, warn } from '../../../../src/cli/doctor/check.ts';
import { syncCheck, yearCheck } from '../../../../src/cli/doctor/clock.ts';
import { inodesCheck, spaceCheck } from '../../../../src/cli/doctor/disk.ts';
import { verdict } from '../../../../src/cli/doctor/index.ts';
import { kernelVersion } from '../../../../src/cli/doctor/kernel.ts';
import { cniPlugins, overlapCheck } from '../../../../src/cli/doctor/network.ts';
import { capabilityChecks } from '../../../../src/cli/doctor/privileges.ts';
import { runtimeChecks } from '../../../../src/cli/doctor/programs.ts';

t.test('kernel', async (t) => {
  t.equal(kernelVersion('5.4.0-150-generic').severity, 'fail');
  t.equal(kernelVersion('5.10.0').severity, 'warn');
  t.equal(kernelVersion('5.15.0-rc1').severity, 'ok');
  t.equal(kernelVersion('6.1-rc1+').severity, 'ok');
  t.equal(kernelVersion('10.0.0').severity, 'ok', 'numbers, not text, are compared');
});

t.test('cgroups', async (t) => {
  const layout = { legacy: {}, controllers: ['cpu', 'memory', 'pids', 'io', 'cpuset'] };
  t.equal(layoutCheck({ ...layout, mode: 'v2', unified: '/sys/fs/cgroup' }).severity, 'ok');
  t.equal(layoutCheck({ ...layout, mode: 'hybrid' }).severity, 'warn');
  t.equal(layoutCheck({ ...layout, mode: 'v1' }).severity, 'warn');
  t.equal(controllersCheck({ ...layout, mode: 'v2' }).severity, 'ok');
  t.equal(controllersCheck({ ...layout, mode: 'v1', controllers: ['cpu', 'memory', 'pids', 'blkio', 'cpuset'] }).severity, 'ok');
  t.match(controllersCheck({ ...layout, mode: 'v2', controllers: ['cpu'] }), { severity: 'fail', message: /memory, pids are missing/ });
  t.match(controllersCheck({ ...layout, mode: 'v2', controllers: ['cpu', 'memory', 'pids'] }), { severity: 'warn', message: /cpuset, io/ });
});

t.test('disk', async (t) => {
  const GIB = 2 ** 30;
  t.equal(spaceCheck({ dir: '/', freeBytes: 50 * GIB, totalBytes: 100 * GIB }).severity, 'ok');
  t.equal(spaceCheck({ dir: '/', freeBytes: 10 * GIB, totalBytes: 100 * GIB }).severity, 'warn');
  t.equal(spaceCheck({ dir: '/', freeBytes: GIB / 10, totalBytes: GIB / 5 }).severity, 'fail');
  t.equal(inodesCheck({ dir: '/', free: 0, total: 0 }).severity, 'ok', 'btrfs counts none');
  t.equal(inodesCheck({ dir: '/', free: 4, total: 100 }).severity, 'warn');
  t.equal(inodesCheck({ dir: '/', free: 50, total: 100 }).severity, 'ok');
});

t.test('clock', async (t) => {
  t.equal(yearCheck(new Date('1970-01-01')).severity, 'fail');
  t.equal(yearCheck(new Date('2026-06-01')).severity, 'ok');
  t.equal(yearCheck(new Date('2200-01-01')).severity, 'fail');
  t.equal(syncCheck(true).severity, 'ok');
  t.equal(syncCheck(false).severity, 'warn');
});

t.test('privileges', async (t) => {
  const all = 'SYS_ADMIN NET_ADMIN CHOWN DAC_OVERRIDE FOWNER MKNOD SETUID SETGID KILL SYS_CHROOT SYS_RESOURCE';
  const has = (names: string): Set<string> => new Set(names.split(' ').map((name) => `CAP_${name}`));
  t.same(
    capabilityChecks(has(all)).map((check) => check.severity),
    ['ok', 'ok'],
  );
  t.match(capabilityChecks(has(all.replace(' SYS_RESOURCE', '')))[1], { id: 'privileges.sys-resource', severity: 'warn' });
  t.match(capabilityChecks(has('SYS_RESOURCE'))[0], { severity: 'fail', message: /CAP_SYS_ADMIN \(mounts and namespaces\)/ });
});

t.test('runtimes', async (t) => {
  const handler = (name: string, usable: boolean) => ({
    name,
    path: `/bin/${name}`,
    version: '1',
    usable,
    problem: usable ? '' : 'it broke',
    features: { recursiveReadOnlyMounts: false, idmapMounts: false },
  });
  const severities = (usable: [boolean, boolean], chosen: string): string[] =>
    runtimeChecks([handler('crun', usable[0]), handler('runc', usable[1])], chosen).map((check) => check.severity);
  t.same(severities([true, true], ''), ['ok', 'ok', 'ok']);
  t.same(severities([false, true], ''), ['warn', 'ok', 'ok'], 'one usable runtime is enough');
  t.same(severities([false, true], 'crun'), ['warn', 'ok', 'fail'], 'unless another was chosen');
  t.same(severities([false, false], ''), ['warn', 'warn', 'fail']);
});

t.test('network', async (t) => {
  t.same(cniPlugins('{"plugins":[{"type":"bridge"},{"type":"portmap"}]}'), ['bridge', 'portmap']);
  t.same(cniPlugins('{"type":"macvlan"}'), ['macvlan'], 'a single configuration');
  for (const bad of ['', '[]', 'null', '{"plugins":[]}', '{"plugins":[{}]}', '{}']) t.throws(() => cniPlugins(bad), bad);
  const at = (address: string) => [{ name: 'eth0', address, family: address.includes(':') ? ('ipv6' as const) : ('ipv4' as const) }];
  t.equal(overlapCheck({ podCidr: '10.209.0.0/16' }, at('10.208.255.1')).severity, 'ok');
  t.match(overlapCheck({ podCidr: '10.209.0.0/16' }, at('10.209.3.4')), { severity: 'warn', message: /covers 10\.209\.3\.4 of eth0/ });
  t.equal(overlapCheck({ podCidr: '10.209.0.0/16,fd00::/64' }, at('fd00::5')).severity, 'warn');
});

t.test('the verdict and the report', async (t) => {
  const fine = ok('a.b', 'fine');
  t.equal(verdict([fine]), 0);
  t.equal(verdict([fine, warn('c', 'm', 'do')]), 1);
  t.equal(verdict([fine, fail('c', 'm', 'do'), warn('c', 'm', 'do')]), 2);
  t.equal(report([fine, fail('c', 'm', 'do it')]), 'ok    a.b  fine\nFAIL  c    m\n           -> do it\n\n1 ok, 0 warnings, 1 failures\n');
});
