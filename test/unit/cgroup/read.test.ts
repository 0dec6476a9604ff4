/** Readings of recorded cgroup files, v2 and v1: the same pod must give the same figures on both. */
import { resolve } from 'node:path';
import t from 'tap';
import { hugePageSizes } from '../../../src/cgroup/hugetlb.ts';
import { openCgroups } from '../../../src/cgroup/index.ts';

const FIXTURES = resolve(import.meta.dirname, '../../fixtures/cgroup');
const hugePagesDir = `${FIXTURES}/hugepages`;

const v2 = () =>
  openCgroups({ driver: 'auto', root: `${FIXTURES}/v2`, mountinfo: `1 1 0:1 / ${FIXTURES}/v2 rw - cgroup2 cgroup2 rw`, hugePagesDir });

function v1() {
  const root = `${FIXTURES}/v1`;
  const line = (controller: string) => `1 1 0:1 / ${root}/${controller} rw - cgroup cgroup rw,${controller}`;
  const mounts = [
    ...['cpu', 'cpuacct', 'memory', 'pids', 'blkio', 'hugetlb'].map(line),
    `1 1 0:1 / ${root}/unified rw - cgroup2 cgroup2 rw`,
  ];
  return openCgroups({ driver: 'auto', root, mountinfo: mounts.join('\n'), hugePagesDir });
}

const PSI_CPU = {
  some: { totalNs: 1834999000n, avg10: 1.25, avg60: 0.5, avg300: 0.1 },
  full: { totalNs: 912345000n, avg10: 0.25, avg60: 0, avg300: 0 },
};
const MEMORY = {
  usageBytes: 73400320n,
  workingSetBytes: 73400320n - 20971520n,
  rssBytes: 41943040n,
  cacheBytes: 25165824n,
  mappedFileBytes: 8388608n,
  kernelBytes: 4194304n,
  activeFileBytes: 4194304n,
  inactiveFileBytes: 20971520n,
  swapBytes: 0n,
  maxUsageBytes: 99614720n,
  limitBytes: 134217728n,
  pageFaults: 18234n,
  majorPageFaults: 41n,
  failcnt: 12n,
  oomKills: 2n,
};
const DISK = { device: '8:0', readBytes: 90430464n, writeBytes: 299008000n, reads: 8950n, writes: 1252n };

t.test('v2', async (t) => {
  const cgroups = v2();
  const stats = cgroups.read('/kubepods/burstable/pod6c1f9d3a');
  cgroups.forget('/kubepods/burstable/pod6c1f9d3a');
  t.same(stats?.cpu, {
    usageNs: 4215873000n,
    userNs: 3012345000n,
    systemNs: 1203528000n,
    periods: 421n,
    throttledPeriods: 37n,
    throttledNs: 1834201000n,
    quota: { quotaUs: 50000n, periodUs: 100000n },
    psi: PSI_CPU,
  });
  const { psi, ...memory } = stats!.memory;
  t.same(memory, MEMORY, 'swap.max of max is no limit');
  t.equal(psi?.some.totalNs, 77000n);
  t.same(stats?.pids, { current: 23n, processes: 3n, limit: 1024n });
  t.same(
    stats?.io.devices,
    [{ device: '8:16', readBytes: 1459200n, writeBytes: 314773504n, reads: 192n, writes: 353n }, DISK],
    'no row for 254:0',
  );
  t.equal(stats?.io.psi?.full.totalNs, 4000000n);
  t.same(stats?.hugetlb, [{ pageSize: '2MB', usageBytes: 4194304n }], 'no maximum in v2, no file for 1GB');
});

t.test('v2 of an older kernel, without limits', async (t) => {
  const cgroups = v2();
  const stats = cgroups.read('/old');
  cgroups.forget('/old');
  t.equal(stats?.cpu.quota, undefined);
  t.equal(stats?.cpu.psi?.full.totalNs, 0n);
  t.equal(stats?.memory.limitBytes, undefined);
  t.equal(stats?.memory.kernelBytes, 100n, 'summed from its parts');
  t.equal(stats?.memory.workingSetBytes, 0n, 'never negative');
  t.equal(stats?.memory.maxUsageBytes, 4096n);
  t.equal(stats?.pids.processes, 0n);
});

t.test('v1', async (t) => {
  const cgroups = v1();
  const stats = cgroups.read('/kubepods/pod6c1f9d3a');
  cgroups.forget('/kubepods/pod6c1f9d3a');
  t.equal(cgroups.layout.mode, 'hybrid');
  t.same(stats?.cpu, {
    usageNs: 4215873321n,
    userNs: 3010000000n,
    systemNs: 1200000000n,
    periods: 421n,
    throttledPeriods: 37n,
    throttledNs: 1834201000n,
    quota: { quotaUs: 50000n, periodUs: 100000n },
    psi: PSI_CPU,
  });
  t.same(stats?.memory, { ...MEMORY, swapLimitBytes: 33554432n }, 'hierarchical totals, not the cgroup’s own');
  t.same(stats?.pids, { current: 23n, processes: 3n });
  t.same(stats?.io.devices, [DISK]);
  t.same(stats?.hugetlb, [{ pageSize: '2MB', usageBytes: 2097152n, maxUsageBytes: 6291456n }]);
});

t.test('v1 without limits, and with nobody on the cgroup2 side', async (t) => {
  const cgroups = v1();
  const stats = cgroups.read('/quiet');
  cgroups.forget('/quiet');
  t.equal(stats?.cpu.quota, undefined);
  t.equal(stats?.memory.limitBytes, undefined);
  t.equal(stats?.memory.swapLimitBytes, undefined);
  t.equal(stats?.cpu.psi, undefined, 'an empty cgroup’s pressure says nothing of processes elsewhere');
});

t.test('a cgroup that is not there is undefined', async (t) => {
  t.equal(v2().read('/nope'), undefined);
  t.equal(v1().read('/nope'), undefined);
});

t.test('driver auto', async (t) => {
  const booted = { systemdDir: FIXTURES };
  const mountinfo = `1 1 0:1 / ${FIXTURES}/v2 rw - cgroup2 cgroup2 rw`;
  t.equal(openCgroups({ driver: 'auto', root: `${FIXTURES}/v2`, mountinfo, ...booted }).driver, 'systemd');
  t.equal(openCgroups({ driver: 'auto', root: `${FIXTURES}/v2`, mountinfo, systemdDir: '/nonexistent' }).driver, 'cgroupfs');
  t.equal(openCgroups({ driver: 'cgroupfs', root: `${FIXTURES}/v2`, mountinfo, ...booted }).driver, 'cgroupfs');
});

t.test('huge page sizes as the controller names them', async (t) => {
  t.same(hugePageSizes(['hugepages-1048576kB', 'hugepages-2048kB', 'hugepages-64kB', 'junk']), ['1GB', '2MB', '64KB']);
});
