/** LinuxContainerResources both ways. On the wire 0 and "" mean "not set"; inside that is undefined. */
import type { cri } from '../gen/index.ts';
import type { LinuxResources } from '../sandbox/index.ts';
import { defined, invalid, nonEmpty, within } from './fields.ts';
import { fromLong, toInt64, toUint64 } from './int64.ts';

/** proc(5) /proc/PID/oom_score_adj */
const OOM_SCORE_ADJ = { min: -1000, max: 1000 };
/** Unlimited, where a limit has a word for it (cpu.cfs_quota_us, memory.limit_in_bytes). */
const UNLIMITED = -1n;

/** Checks and converts; `field` is the message's place in the request. */
export function resourcesFromWire(wire: cri.LinuxContainerResources | null, field: string): LinuxResources | undefined {
  if (wire === null) return undefined;
  return defined<LinuxResources>({
    cpuPeriod: unset(fromLong(wire.cpuPeriod), 0n, `${field}.cpu_period`),
    cpuQuota: unset(fromLong(wire.cpuQuota), UNLIMITED, `${field}.cpu_quota`),
    cpuShares: unset(fromLong(wire.cpuShares), 0n, `${field}.cpu_shares`),
    memoryLimitBytes: unset(fromLong(wire.memoryLimitInBytes), UNLIMITED, `${field}.memory_limit_in_bytes`),
    memorySwapLimitBytes: unset(fromLong(wire.memorySwapLimitInBytes), UNLIMITED, `${field}.memory_swap_limit_in_bytes`),
    // 0 is a value here: without it the container would inherit the daemon's own
    oomScoreAdj: within(Number(fromLong(wire.oomScoreAdj)), OOM_SCORE_ADJ, `${field}.oom_score_adj`),
    cpusetCpus: wire.cpusetCpus === '' ? undefined : cpuset(wire.cpusetCpus, `${field}.cpuset_cpus`),
    cpusetMems: wire.cpusetMems === '' ? undefined : cpuset(wire.cpusetMems, `${field}.cpuset_mems`),
    hugepageLimits: wire.hugepageLimits.map((limit, at) => ({
      pageSize: nonEmpty(limit.pageSize, `${field}.hugepage_limits[${at}].page_size`),
      limitBytes: fromLong(limit.limit),
    })),
    unified: unifiedFiles(wire.unified, `${field}.unified`),
  });
}

/** What ContainerStatus.resources and the verbose answers show. */
export function resourcesToWire(resources: LinuxResources): cri.LinuxContainerResourcesInit {
  return {
    cpuPeriod: toInt64(resources.cpuPeriod ?? 0n),
    cpuQuota: toInt64(resources.cpuQuota ?? 0n),
    cpuShares: toInt64(resources.cpuShares ?? 0n),
    memoryLimitInBytes: toInt64(resources.memoryLimitBytes ?? 0n),
    memorySwapLimitInBytes: toInt64(resources.memorySwapLimitBytes ?? 0n),
    oomScoreAdj: toInt64(BigInt(resources.oomScoreAdj ?? 0)),
    cpusetCpus: resources.cpusetCpus,
    cpusetMems: resources.cpusetMems,
    hugepageLimits: resources.hugepageLimits.map((limit) => ({ pageSize: limit.pageSize, limit: toUint64(limit.limitBytes) })),
    unified: resources.unified,
  };
}

function unset(value: bigint, min: bigint, field: string): bigint | undefined {
  if (value < min) throw invalid(field, `is ${value}; it must be ${min} or more`);
  return value === 0n ? undefined : value;
}

/** cgroup-v2.rst cpuset.cpus: ranges separated by commas. */
function cpuset(value: string, field: string): string {
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(value)) throw invalid(field, `is ${value}; a list of ranges like 0-2,7 is needed`);
  return value;
}

/** Names become file names in the cgroup: a slash would reach another one. */
function unifiedFiles(files: Record<string, string>, field: string): Record<string, string> {
  for (const name of Object.keys(files)) {
    if (!/^[a-z0-9_]+(\.[a-zA-Z0-9_]+)+$/.test(name))
      throw invalid(field, `has the key ${name}; a cgroup v2 file name like memory.high is needed`);
  }
  return files;
}
