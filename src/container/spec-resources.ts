/**
 * cgroup limits of a container as runtime-spec linux.resources. Pure. What the
 * host has no controller for is left out where kubelet sends it to every node
 * alike (huge pages, swap), since every container would fail otherwise.
 */
import type { LinuxResources } from '../sandbox/index.ts';
import type { HostFacts } from './spec-host.ts';

/** runtime-spec config-linux.md resources, without devices. */
export interface OciResources {
  cpu?: { shares?: number; quota?: number; period?: number; cpus?: string; mems?: string };
  memory?: { limit?: number; swap?: number };
  pids?: { limit: number };
  hugepageLimits?: { pageSize: string; limit: number }[];
  unified?: Record<string, string>;
}

/** What of the host decides. */
export type ResourceFacts = Pick<HostFacts, 'cgroupVersion' | 'swapAccounting' | 'hugepageSizes'>;

/** The limits for a new container or an update; `pidsLimit` 0 sets none. */
export function resourcesOf(resources: Readonly<LinuxResources>, facts: ResourceFacts, pidsLimit: number): OciResources {
  const cpu = cpuOf(resources);
  const memory = memoryOf(resources, facts);
  const hugepageLimits = resources.hugepageLimits
    .filter(({ pageSize }) => facts.hugepageSizes.has(pageSize))
    .map(({ pageSize, limitBytes }) => ({ pageSize, limit: Number(limitBytes) }));
  // kubelet sends memory.oom.group and the like to v2 nodes only; runc fails when it meets one on v1.
  const unified = facts.cgroupVersion === 2 ? resources.unified : {};
  return {
    ...(isEmpty(cpu) ? {} : { cpu }),
    ...(isEmpty(memory) ? {} : { memory }),
    ...(pidsLimit > 0 ? { pids: { limit: pidsLimit } } : {}),
    ...(hugepageLimits.length === 0 ? {} : { hugepageLimits }),
    ...(isEmpty(unified) ? {} : { unified: { ...unified } }),
  };
}

function cpuOf(resources: Readonly<LinuxResources>): NonNullable<OciResources['cpu']> {
  return {
    ...(resources.cpuShares === undefined ? {} : { shares: Number(resources.cpuShares) }),
    ...(resources.cpuQuota === undefined ? {} : { quota: Number(resources.cpuQuota) }),
    ...(resources.cpuPeriod === undefined ? {} : { period: Number(resources.cpuPeriod) }),
    ...(resources.cpusetCpus === undefined ? {} : { cpus: resources.cpusetCpus }),
    ...(resources.cpusetMems === undefined ? {} : { mems: resources.cpusetMems }),
  };
}

function memoryOf(resources: Readonly<LinuxResources>, facts: ResourceFacts): NonNullable<OciResources['memory']> {
  const limit = bytes(resources.memoryLimitBytes);
  if (!facts.swapAccounting) return limit === undefined ? {} : { limit };
  // Memory plus swap; without one of its own it equals the memory limit, which is no swap.
  const swap = bytes(resources.memorySwapLimitBytes) ?? limit;
  return { ...(limit === undefined ? {} : { limit }), ...(swap === undefined ? {} : { swap }) };
}

/** kubelet says "no limit" with a number near 2^63, which JSON cannot carry exactly: the runtimes' word is -1. */
function bytes(value: bigint | undefined): number | undefined {
  if (value === undefined) return undefined;
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? -1 : Number(value);
}

const isEmpty = (object: object): boolean => Object.keys(object).length === 0;
