/**
 * Adds up readings of several cgroups, for a pod that has no cgroup of its
 * own. Pure. Pressure cannot be added (stalls overlap) and is left out; a
 * limit is known only when every part has one.
 */
import type { CgroupStats, CpuStats, HugetlbStats, IoDeviceStats, MemoryStats, PidsStats } from '../cgroup/index.ts';

/** The sum of what is there, or undefined when a part is missing. */
function sumAll(parts: readonly (bigint | undefined)[]): bigint | undefined {
  let sum = 0n;
  for (const part of parts) {
    if (part === undefined) return undefined;
    sum += part;
  }
  return sum;
}

const total = <T>(parts: readonly T[], value: (part: T) => bigint): bigint => parts.reduce((sum, part) => sum + value(part), 0n);

function sumCpu(parts: readonly CpuStats[]): CpuStats {
  return {
    usageNs: total(parts, (p) => p.usageNs),
    userNs: total(parts, (p) => p.userNs),
    systemNs: total(parts, (p) => p.systemNs),
    periods: total(parts, (p) => p.periods),
    throttledPeriods: total(parts, (p) => p.throttledPeriods),
    throttledNs: total(parts, (p) => p.throttledNs),
  };
}

function sumMemory(parts: readonly MemoryStats[]): MemoryStats {
  const limitBytes = sumAll(parts.map((p) => p.limitBytes));
  const swapLimitBytes = sumAll(parts.map((p) => p.swapLimitBytes));
  return {
    usageBytes: total(parts, (p) => p.usageBytes),
    workingSetBytes: total(parts, (p) => p.workingSetBytes),
    rssBytes: total(parts, (p) => p.rssBytes),
    cacheBytes: total(parts, (p) => p.cacheBytes),
    mappedFileBytes: total(parts, (p) => p.mappedFileBytes),
    kernelBytes: total(parts, (p) => p.kernelBytes),
    activeFileBytes: total(parts, (p) => p.activeFileBytes),
    inactiveFileBytes: total(parts, (p) => p.inactiveFileBytes),
    swapBytes: total(parts, (p) => p.swapBytes),
    maxUsageBytes: total(parts, (p) => p.maxUsageBytes),
    pageFaults: total(parts, (p) => p.pageFaults),
    majorPageFaults: total(parts, (p) => p.majorPageFaults),
    failcnt: total(parts, (p) => p.failcnt),
    oomKills: total(parts, (p) => p.oomKills),
    ...(limitBytes !== undefined && { limitBytes }),
    ...(swapLimitBytes !== undefined && { swapLimitBytes }),
  };
}

function sumPids(parts: readonly PidsStats[]): PidsStats {
  const processes = sumAll(parts.map((p) => p.processes));
  const limit = sumAll(parts.map((p) => p.limit));
  return { current: total(parts, (p) => p.current), ...(processes !== undefined && { processes }), ...(limit !== undefined && { limit }) };
}

function sumIo(rows: readonly IoDeviceStats[]): IoDeviceStats[] {
  const byDevice = Map.groupBy(rows, (row) => row.device);
  return [...byDevice].map(([device, parts]) => ({
    device,
    readBytes: total(parts, (p) => p.readBytes),
    writeBytes: total(parts, (p) => p.writeBytes),
    reads: total(parts, (p) => p.reads),
    writes: total(parts, (p) => p.writes),
  }));
}

function sumHugetlb(rows: readonly HugetlbStats[]): HugetlbStats[] {
  const bySize = Map.groupBy(rows, (row) => row.pageSize);
  return [...bySize].map(([pageSize, parts]) => {
    const maxUsageBytes = sumAll(parts.map((p) => p.maxUsageBytes));
    return { pageSize, usageBytes: total(parts, (p) => p.usageBytes), ...(maxUsageBytes !== undefined && { maxUsageBytes }) };
  });
}

/** Largest of the times; Math.max knows no bigint. */
function newest(timesNs: readonly bigint[]): bigint {
  let latest = 0n;
  for (const time of timesNs) if (time > latest) latest = time;
  return latest;
}

/** The sum of the readings, as of the newest; undefined of none. */
export function sumStats(parts: readonly CgroupStats[]): CgroupStats | undefined {
  if (parts.length === 0) return undefined;
  return {
    timestampNs: newest(parts.map((p) => p.timestampNs)),
    cpu: sumCpu(parts.map((p) => p.cpu)),
    memory: sumMemory(parts.map((p) => p.memory)),
    pids: sumPids(parts.map((p) => p.pids)),
    io: { devices: sumIo(parts.flatMap((p) => p.io.devices)) },
    hugetlb: sumHugetlb(parts.flatMap((p) => p.hugetlb)),
  };
}
