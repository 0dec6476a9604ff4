/**
 * The one reader of cgroup v1 figures (cgroup-v1/*.rst), for v1 and hybrid
 * hosts; deprecated with them, and nothing else knows of v1's file names.
 * Figures are brought to v2's meaning: hierarchical totals, ns, "unlimited"
 * as undefined. On a hybrid host pressure comes from the cgroup2 side, where
 * the OCI runtimes put their processes too.
 */

import type { ReadFile } from './files.ts';
import { readHugetlb } from './hugetlb.ts';
import { workingSet } from './memory.ts';
import { field, integer, pressure } from './parse.ts';
import { readPids } from './pids.ts';
import type { CgroupStats, CpuStats, IoDeviceStats, MemoryStats, Pressure } from './types.ts';

/** Reads a file of one cgroup in one controller's hierarchy. */
export type LegacyRead = (controller: string) => ReadFile;

/** USER_HZ is 100 on every Linux architecture Node runs on. */
const NS_PER_TICK = 10_000_000n;
/** Limits above it are "none": the kernel rounds PAGE_COUNTER_MAX down to a page. */
const UNLIMITED_FROM_BYTES = 1n << 62n;

const limited = (bytes: bigint | undefined): bigint | undefined =>
  bytes === undefined || bytes >= UNLIMITED_FROM_BYTES ? undefined : bytes;

function legacyCpu(read: LegacyRead): Omit<CpuStats, 'psi'> | undefined {
  const accounting = read('cpuacct');
  const usageNs = integer(accounting('cpuacct.usage'));
  if (usageNs === undefined) return undefined;
  const times = accounting('cpuacct.stat');
  const stat = read('cpu')('cpu.stat');
  const quotaUs = integer(read('cpu')('cpu.cfs_quota_us')); // -1 is unlimited and no unsigned integer
  const periodUs = integer(read('cpu')('cpu.cfs_period_us'));
  return {
    usageNs,
    userNs: (field(times, 'user') ?? 0n) * NS_PER_TICK,
    systemNs: (field(times, 'system') ?? 0n) * NS_PER_TICK,
    periods: field(stat, 'nr_periods') ?? 0n,
    throttledPeriods: field(stat, 'nr_throttled') ?? 0n,
    throttledNs: field(stat, 'throttled_time') ?? 0n,
    ...(quotaUs !== undefined && periodUs !== undefined && { quota: { quotaUs, periodUs } }),
  };
}

function legacyMemory(read: ReadFile): Omit<MemoryStats, 'psi'> {
  const stat = read('memory.stat');
  const total = (key: string): bigint => field(stat, `total_${key}`) ?? 0n;
  const usageBytes = integer(read('memory.usage_in_bytes')) ?? 0n;
  const limitBytes = limited(integer(read('memory.limit_in_bytes')));
  const memoryAndSwap = limited(integer(read('memory.memsw.limit_in_bytes')));
  const inactiveFileBytes = total('inactive_file');
  return {
    usageBytes,
    workingSetBytes: workingSet(usageBytes, inactiveFileBytes),
    rssBytes: total('rss'),
    cacheBytes: total('cache'),
    mappedFileBytes: total('mapped_file'),
    kernelBytes: integer(read('memory.kmem.usage_in_bytes')) ?? 0n,
    activeFileBytes: total('active_file'),
    inactiveFileBytes,
    swapBytes: total('swap'),
    maxUsageBytes: integer(read('memory.max_usage_in_bytes')) ?? usageBytes,
    pageFaults: total('pgfault'),
    majorPageFaults: total('pgmajfault'),
    failcnt: integer(read('memory.failcnt')) ?? 0n,
    oomKills: field(read('memory.oom_control'), 'oom_kill') ?? 0n, // v1 counts only the cgroup's own, not those below
    ...(limitBytes !== undefined && { limitBytes }),
    ...(limitBytes !== undefined && memoryAndSwap !== undefined && { swapLimitBytes: memoryAndSwap - limitBytes }),
  };
}

/** Rows `MAJOR:MINOR Read N` of a blkio file, added up by device and direction. */
function blkioRows(text: string | undefined): Map<string, { read: bigint; write: bigint }> {
  const rows = new Map<string, { read: bigint; write: bigint }>();
  for (const line of (text ?? '').split('\n')) {
    const [device, operation, value] = line.split(' ');
    const count = integer(value);
    if (device === undefined || count === undefined) continue; // the last line is a `Total N` over all devices
    const row = rows.get(device) ?? { read: 0n, write: 0n };
    if (operation === 'Read') row.read = count;
    if (operation === 'Write') row.write = count;
    rows.set(device, row);
  }
  return rows;
}

function legacyIo(read: ReadFile): IoDeviceStats[] {
  const bytes = blkioRows(read('blkio.throttle.io_service_bytes_recursive'));
  const operations = blkioRows(read('blkio.throttle.io_serviced_recursive'));
  return [...bytes].map(([device, row]) => ({
    device,
    readBytes: row.read,
    writeBytes: row.write,
    reads: operations.get(device)?.read ?? 0n,
    writes: operations.get(device)?.write ?? 0n,
  }));
}

/** Pressure of the cgroup2 side, believed only while processes are really there: an empty cgroup feels none. */
function pressures(unified: ReadFile | undefined): { cpu?: Pressure; memory?: Pressure; io?: Pressure } {
  if (unified === undefined || field(unified('cgroup.events'), 'populated') !== 1n) return {};
  const of = (name: string): Pressure | undefined => pressure(unified(`${name}.pressure`));
  const [cpu, memory, io] = [of('cpu'), of('memory'), of('io')];
  return { ...(cpu !== undefined && { cpu }), ...(memory !== undefined && { memory }), ...(io !== undefined && { io }) };
}

/** One reading without its time; undefined when the cgroup is gone from the cpuacct hierarchy. */
export function readLegacy(
  read: LegacyRead,
  unified: ReadFile | undefined,
  hugePages: readonly string[],
): Omit<CgroupStats, 'timestampNs'> | undefined {
  const cpu = legacyCpu(read);
  if (cpu === undefined) return undefined;
  const psi = pressures(unified);
  return {
    cpu: { ...cpu, ...(psi.cpu !== undefined && { psi: psi.cpu }) },
    memory: { ...legacyMemory(read('memory')), ...(psi.memory !== undefined && { psi: psi.memory }) },
    pids: readPids(read('pids')),
    io: { devices: legacyIo(read('blkio')), ...(psi.io !== undefined && { psi: psi.io }) },
    hugetlb: readHugetlb(read('hugetlb'), hugePages),
  };
}
