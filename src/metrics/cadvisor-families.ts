/**
 * The table of /metrics/cadvisor: cAdvisor's names, units and labels
 * (cadvisor metrics/prometheus.go), as floats. A family has a value for a row
 * only when the kernel gave one: absent is not 0. container_file_descriptors,
 * _sockets and _ulimits_soft are not here, since they need a walk of /proc
 * for each process.
 */
import type { CpuStats, IoDeviceStats, MemoryStats, Pressure } from '../cgroup/index.ts';
import type { InterfaceStats } from '../network/index.ts';
import { type Family, one, seconds, type Value } from './family.ts';
import type { Row } from './rows.ts';

/** Controllers a figure needs; a family is left out on a host without it. */
export type Controller = 'cpu' | 'memory' | 'pids' | 'io' | 'hugetlb';

/** A family of the table. */
export interface CadvisorFamily extends Family<Row> {
  needs?: Controller;
}

const limitOrZero = (bytes: bigint | undefined): number => (bytes === undefined || bytes < 0n ? 0 : Number(bytes));

interface Shape {
  name: string;
  help: string;
  needs?: Controller;
  type?: 'counter' | 'gauge';
}

const cpu = (shape: Shape, value: (cpu: CpuStats) => number | undefined): CadvisorFamily => ({
  type: 'counter',
  ...shape,
  labels: [],
  values: ({ cgroup }) => (cgroup === undefined ? [] : one(value(cgroup.cpu))),
});

/** cAdvisor shows throttling only where there is a quota to hit. */
const throttle = (shape: Shape, value: (cpu: CpuStats) => number): CadvisorFamily =>
  cpu({ needs: 'cpu', ...shape }, (stats) => (stats.quota === undefined && stats.periods === 0n ? undefined : value(stats)));

const memory = (shape: Shape, value: (memory: MemoryStats) => bigint): CadvisorFamily => ({
  needs: 'memory',
  type: 'gauge',
  ...shape,
  labels: [],
  values: ({ cgroup }) => (cgroup === undefined ? [] : one(value(cgroup.memory))),
});

const disk = (shape: Shape, value: (device: IoDeviceStats) => bigint): CadvisorFamily => ({
  needs: 'io',
  type: 'counter',
  ...shape,
  labels: ['device'],
  values: ({ cgroup, deviceName }) =>
    (cgroup?.io.devices ?? []).map((row) => ({ value: Number(value(row)), labels: { device: deviceName(row.device) } })),
});

const network = (shape: Shape, value: (stats: InterfaceStats) => bigint): CadvisorFamily => ({
  type: 'counter',
  ...shape,
  labels: ['interface'],
  values: ({ interfaces }) => interfaces.map((stats) => ({ value: Number(value(stats)), labels: { interface: stats.name } })),
});

const stalls = (resource: 'cpu' | 'memory' | 'io', kind: 'waiting' | 'stalled'): CadvisorFamily => ({
  name: `container_pressure_${resource}_${kind}_seconds_total`,
  help: `Time in which ${kind === 'waiting' ? 'some task' : 'every task'} of the container waited for ${resource}, in seconds`,
  type: 'counter',
  labels: [],
  values: ({ cgroup }) => {
    const psi: Pressure | undefined = cgroup?.[resource].psi;
    return psi === undefined ? [] : one(seconds((kind === 'waiting' ? psi.some : psi.full).totalNs));
  },
});

const volume = (shape: Shape, value: (row: Row) => number | undefined): CadvisorFamily => ({
  type: 'gauge',
  ...shape,
  labels: ['device'],
  values: (row) => {
    const figure = value(row);
    return figure === undefined || row.volume === undefined ? [] : [{ value: figure, labels: { device: row.volume.device } }];
  },
});

const spec = (shape: Shape, value: (row: Row) => number | undefined): CadvisorFamily => ({
  type: 'gauge',
  ...shape,
  labels: [],
  values: (row) => (row.kind === 'container' ? one(value(row)) : []),
});

function failures(row: Row): Value[] {
  if (row.cgroup === undefined) return [];
  const { pageFaults, majorPageFaults } = row.cgroup.memory;
  // The kernel counts a cgroup with those below it; a leaf has none below, so both scopes are the same there.
  const scopes = row.kind === 'pod' ? ['hierarchy'] : ['container', 'hierarchy'];
  return scopes.flatMap((scope) => [
    { value: Number(pageFaults), labels: { failure_type: 'pgfault', scope } },
    { value: Number(majorPageFaults), labels: { failure_type: 'pgmajfault', scope } },
  ]);
}

function blkio(row: Row): Value[] {
  return (row.cgroup?.io.devices ?? []).flatMap(({ device: numbers, readBytes, writeBytes }) => {
    const [major = '', minor = ''] = numbers.split(':');
    const device = row.deviceName(numbers);
    return [
      { value: Number(readBytes), labels: { device, major, minor, operation: 'Read' } },
      { value: Number(writeBytes), labels: { device, major, minor, operation: 'Write' } },
    ];
  });
}

/** Kills the kernel counted and those the record keeps from before a restart of berth; an ended container has the record only. */
function oomEvents({ cgroup, record }: Row): number | undefined {
  if (record === undefined) return undefined;
  const known = record.exit?.reason === 'OOMKilled' ? Math.max(record.oomKills, 1) : record.oomKills;
  return Math.max(Number(cgroup?.memory.oomKills ?? 0n), known);
}

const CPU_FAMILIES: readonly CadvisorFamily[] = [
  {
    name: 'container_cpu_usage_seconds_total',
    help: 'CPU time used, in seconds, over all CPUs (cpu="total")',
    type: 'counter',
    labels: ['cpu'],
    values: ({ cgroup }) => (cgroup === undefined ? [] : [{ value: seconds(cgroup.cpu.usageNs), labels: { cpu: 'total' } }]),
  },
  cpu({ name: 'container_cpu_user_seconds_total', help: 'CPU time used in user mode, in seconds' }, (c) => seconds(c.userNs)),
  cpu({ name: 'container_cpu_system_seconds_total', help: 'CPU time used in the kernel, in seconds' }, (c) => seconds(c.systemNs)),
  throttle({ name: 'container_cpu_cfs_periods_total', help: 'Enforcement periods of the CPU quota' }, (c) => Number(c.periods)),
  throttle({ name: 'container_cpu_cfs_throttled_periods_total', help: 'Periods in which the CPU quota was used up' }, (c) =>
    Number(c.throttledPeriods),
  ),
  throttle({ name: 'container_cpu_cfs_throttled_seconds_total', help: 'Time held back by the CPU quota, in seconds' }, (c) =>
    seconds(c.throttledNs),
  ),
];

const MEMORY_FAMILIES: readonly CadvisorFamily[] = [
  memory({ name: 'container_memory_usage_bytes', help: 'Memory charged, page cache included' }, (m) => m.usageBytes),
  memory(
    { name: 'container_memory_working_set_bytes', help: 'Memory charged without inactive file pages: what eviction looks at' },
    (m) => m.workingSetBytes,
  ),
  memory({ name: 'container_memory_rss', help: 'Anonymous memory, in bytes' }, (m) => m.rssBytes),
  memory({ name: 'container_memory_cache', help: 'Page cache, in bytes' }, (m) => m.cacheBytes),
  memory({ name: 'container_memory_mapped_file', help: 'Mapped files, in bytes' }, (m) => m.mappedFileBytes),
  memory({ name: 'container_memory_kernel_usage', help: 'Kernel memory, in bytes' }, (m) => m.kernelBytes),
  memory({ name: 'container_memory_swap', help: 'Swap used, in bytes' }, (m) => m.swapBytes),
  memory({ name: 'container_memory_max_usage_bytes', help: 'Largest memory usage so far' }, (m) => m.maxUsageBytes),
  memory({ name: 'container_memory_total_active_file_bytes', help: 'Active file pages' }, (m) => m.activeFileBytes),
  memory({ name: 'container_memory_total_inactive_file_bytes', help: 'Inactive file pages' }, (m) => m.inactiveFileBytes),
  memory({ name: 'container_memory_failcnt', help: 'Times the memory limit was hit', type: 'counter' }, (m) => m.failcnt),
  {
    name: 'container_memory_failures_total',
    help: 'Page faults (failure_type pgfault, pgmajfault), of the container itself or with what is below it (scope)',
    type: 'counter',
    labels: ['failure_type', 'scope'],
    needs: 'memory',
    values: failures,
  },
  {
    name: 'container_oom_events_total',
    help: 'Processes of the container the kernel killed for want of memory',
    type: 'counter',
    labels: [],
    values: (row) => one(oomEvents(row)),
  },
];

const DISK_FAMILIES: readonly CadvisorFamily[] = [
  volume({ name: 'container_fs_usage_bytes', help: 'Bytes of the writable layer' }, (r) => Number(r.writableLayer?.usedBytes ?? 0n)),
  volume({ name: 'container_fs_limit_bytes', help: 'Size of the file system that holds the writable layer' }, (r) => r.volume?.limitBytes),
  volume({ name: 'container_fs_inodes_total', help: 'Inodes of the file system that holds the writable layer' }, (r) => r.volume?.inodes),
  volume(
    { name: 'container_fs_inodes_free', help: 'Free inodes of the file system that holds the writable layer' },
    (r) => r.volume?.inodesFree,
  ),
  disk({ name: 'container_fs_reads_bytes_total', help: 'Bytes read from block devices' }, (d) => d.readBytes),
  disk({ name: 'container_fs_reads_total', help: 'Reads from block devices' }, (d) => d.reads),
  disk({ name: 'container_fs_writes_bytes_total', help: 'Bytes written to block devices' }, (d) => d.writeBytes),
  disk({ name: 'container_fs_writes_total', help: 'Writes to block devices' }, (d) => d.writes),
  {
    name: 'container_blkio_device_usage_total',
    help: 'Bytes moved, by block device and operation (Read, Write)',
    type: 'counter',
    labels: ['device', 'major', 'minor', 'operation'],
    needs: 'io',
    values: blkio,
  },
];

const NETWORK_FAMILIES: readonly CadvisorFamily[] = [
  network({ name: 'container_network_receive_bytes_total', help: 'Bytes received' }, (i) => i.rxBytes),
  network({ name: 'container_network_receive_packets_total', help: 'Packets received' }, (i) => i.rxPackets),
  network({ name: 'container_network_receive_packets_dropped_total', help: 'Received packets dropped' }, (i) => i.rxDropped),
  network({ name: 'container_network_receive_errors_total', help: 'Errors in receiving' }, (i) => i.rxErrors),
  network({ name: 'container_network_transmit_bytes_total', help: 'Bytes sent' }, (i) => i.txBytes),
  network({ name: 'container_network_transmit_packets_total', help: 'Packets sent' }, (i) => i.txPackets),
  network({ name: 'container_network_transmit_packets_dropped_total', help: 'Packets to be sent that were dropped' }, (i) => i.txDropped),
  network({ name: 'container_network_transmit_errors_total', help: 'Errors in sending' }, (i) => i.txErrors),
];

const PROCESS_FAMILIES: readonly CadvisorFamily[] = [
  {
    name: 'container_processes',
    help: 'Processes in the container',
    type: 'gauge',
    labels: [],
    values: ({ kind, cgroup }) => (kind === 'pod' ? [] : one(cgroup?.pids.processes)),
  },
  {
    name: 'container_threads',
    help: 'Threads in the container',
    type: 'gauge',
    labels: [],
    needs: 'pids',
    values: (r) => one(r.cgroup?.pids.current),
  },
  {
    name: 'container_threads_max',
    help: 'Threads the container may have, 0 without a limit',
    type: 'gauge',
    labels: [],
    needs: 'pids',
    values: ({ cgroup }) => (cgroup === undefined ? [] : one(cgroup.pids.limit ?? 0n)),
  },
  {
    name: 'container_hugetlb_usage_bytes',
    help: 'Huge pages used, in bytes',
    type: 'gauge',
    labels: ['pagesize'],
    needs: 'hugetlb',
    values: ({ cgroup }) => (cgroup?.hugetlb ?? []).map((h) => ({ value: Number(h.usageBytes), labels: { pagesize: h.pageSize } })),
  },
  {
    name: 'container_hugetlb_max_usage_bytes',
    help: 'Most huge pages used so far, in bytes (cgroup v1 only)',
    type: 'gauge',
    labels: ['pagesize'],
    needs: 'hugetlb',
    values: ({ cgroup }) =>
      (cgroup?.hugetlb ?? []).flatMap((h) => one(h.maxUsageBytes).map(({ value }) => ({ value, labels: { pagesize: h.pageSize } }))),
  },
];

const SPEC_FAMILIES: readonly CadvisorFamily[] = [
  spec({ name: 'container_spec_cpu_period', help: 'Period of the CPU quota, in microseconds' }, ({ cgroup, record }) =>
    Number(cgroup?.cpu.quota?.periodUs ?? record?.spec.resources.cpuPeriod ?? 100_000n),
  ),
  spec({ name: 'container_spec_cpu_quota', help: 'CPU time per period, in microseconds; absent without a quota' }, ({ cgroup }) =>
    cgroup?.cpu.quota === undefined ? undefined : Number(cgroup.cpu.quota.quotaUs),
  ),
  spec({ name: 'container_spec_cpu_shares', help: 'CPU weight, 1024 for one CPU asked for' }, ({ record }) =>
    record?.spec.resources.cpuShares === undefined ? undefined : Number(record.spec.resources.cpuShares),
  ),
  spec({ name: 'container_spec_memory_limit_bytes', help: 'Memory limit, 0 without one' }, ({ cgroup }) =>
    limitOrZero(cgroup?.memory.limitBytes),
  ),
  spec({ name: 'container_spec_memory_swap_limit_bytes', help: 'Limit of memory and swap together, 0 without one' }, ({ record }) =>
    limitOrZero(record?.spec.resources.memorySwapLimitBytes),
  ),
  spec(
    { name: 'container_spec_memory_reservation_limit_bytes', help: 'Memory kept for the container (memory.min), 0 without one' },
    ({ record }) => Number.parseInt(record?.spec.resources.unified['memory.min'] ?? '0', 10) || 0,
  ),
  {
    name: 'container_start_time_seconds',
    help: 'When the container started, Unix time',
    type: 'gauge',
    labels: [],
    values: ({ startedAtNs }) => (startedAtNs === undefined ? [] : one(seconds(startedAtNs))),
  },
  {
    name: 'container_last_seen',
    help: 'When the container was last sampled, Unix time',
    type: 'gauge',
    labels: [],
    values: ({ cgroup }) => (cgroup === undefined ? [] : one(seconds(cgroup.timestampNs))),
  },
];

const PRESSURE_FAMILIES: readonly CadvisorFamily[] = (['cpu', 'memory', 'io'] as const).flatMap((resource) => [
  stalls(resource, 'waiting'),
  stalls(resource, 'stalled'),
]);

/** The whole table. */
export const CADVISOR_FAMILIES: readonly CadvisorFamily[] = [
  ...CPU_FAMILIES,
  ...MEMORY_FAMILIES,
  ...DISK_FAMILIES,
  ...NETWORK_FAMILIES,
  ...PROCESS_FAMILIES,
  ...SPEC_FAMILIES,
  ...PRESSURE_FAMILIES,
];

/** Kept apart from the table: a restart makes a new container id, so this one is by name and survives it. */
export const RESTARTS_FAMILY = {
  name: 'berth_container_restarts_total',
  help: 'Times a container of the pod was started again (the attempt of its newest instance)',
  type: 'counter',
  labels: ['container', 'namespace', 'pod'],
} as const;
