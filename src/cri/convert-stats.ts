/**
 * Samples as answers. Every figure carries the sample's own time, not the
 * call's. PodSandboxStats.linux is always set: kubelet dereferences it.
 */
import type { CgroupStats, MemoryStats, Pressure } from '../cgroup/index.ts';
import type { cri } from '../gen/index.ts';
import type { InterfaceStats } from '../network/index.ts';
import type { ContainerSample, SandboxSample } from '../stats/index.ts';
import { toInt64, toUint64 } from './int64.ts';

/** The interface the pod's address is on (Attachment.interfaceName). */
const DEFAULT_INTERFACE = 'eth0';

const counted = (value: bigint): cri.UInt64ValueInit => ({ value: toUint64(value) });

/** ContainerStats. */
export function containerStatsToWire(sample: ContainerSample): cri.ContainerStatsInit {
  const { record, cgroup, writableLayer } = sample;
  return {
    attributes: {
      id: record.id,
      metadata: record.spec.metadata,
      labels: record.spec.labels,
      annotations: record.spec.annotations,
    },
    ...cgroupToWire(cgroup, sample.usageNanoCores),
    swap: swapToWire(cgroup),
    writableLayer: writableLayer && {
      timestamp: toInt64(writableLayer.timestampNs),
      fsId: { mountpoint: writableLayer.mountpoint },
      usedBytes: counted(writableLayer.usedBytes),
      inodesUsed: counted(writableLayer.inodesUsed),
    },
  };
}

/** PodSandboxStats. */
export function sandboxStatsToWire(sample: SandboxSample, nowNs: bigint): cri.PodSandboxStatsInit {
  const { record, cgroup } = sample;
  const timestamp = toInt64(cgroup?.timestampNs ?? nowNs);
  return {
    attributes: {
      id: record.id,
      metadata: record.spec.metadata,
      labels: record.spec.labels,
      annotations: record.spec.annotations,
    },
    linux: {
      ...(cgroup && cgroupToWire(cgroup, sample.usageNanoCores)),
      network: networkToWire(sample, timestamp),
      process: { timestamp, processCount: counted(BigInt(sample.processCount)) },
      containers: sample.containers.map(containerStatsToWire),
    },
  };
}

/** A pod on the node's network has no interfaces of its own, hence no figures. */
function networkToWire(sample: SandboxSample, timestamp: ReturnType<typeof toInt64>): cri.NetworkUsageInit | undefined {
  if (sample.interfaces.length === 0) return undefined;
  const name = sample.record.network?.interfaceName ?? DEFAULT_INTERFACE;
  const primary = sample.interfaces.find((entry) => entry.name === name);
  return { timestamp, defaultInterface: primary && interfaceToWire(primary), interfaces: sample.interfaces.map(interfaceToWire) };
}

function interfaceToWire(entry: InterfaceStats): cri.NetworkInterfaceUsageInit {
  return {
    name: entry.name,
    rxBytes: counted(entry.rxBytes),
    rxErrors: counted(entry.rxErrors),
    txBytes: counted(entry.txBytes),
    txErrors: counted(entry.txErrors),
  };
}

type CgroupUsage = { cpu: cri.CpuUsageInit; memory: cri.MemoryUsageInit; io: cri.IoUsageInit };

function cgroupToWire(cgroup: CgroupStats, usageNanoCores: bigint | undefined): CgroupUsage {
  const timestamp = toInt64(cgroup.timestampNs);
  return {
    cpu: {
      timestamp,
      usageCoreNanoSeconds: counted(cgroup.cpu.usageNs),
      usageNanoCores: usageNanoCores === undefined ? undefined : counted(usageNanoCores),
      psi: pressureToWire(cgroup.cpu.psi),
    },
    memory: { timestamp, ...memoryToWire(cgroup.memory) },
    io: { timestamp, psi: pressureToWire(cgroup.io.psi) },
  };
}

function memoryToWire(memory: MemoryStats): cri.MemoryUsageInit {
  return {
    workingSetBytes: counted(memory.workingSetBytes),
    availableBytes: counted(left(memory.limitBytes, memory.workingSetBytes)),
    usageBytes: counted(memory.usageBytes),
    rssBytes: counted(memory.rssBytes),
    pageFaults: counted(memory.pageFaults),
    majorPageFaults: counted(memory.majorPageFaults),
    psi: pressureToWire(memory.psi),
  };
}

function swapToWire(cgroup: CgroupStats): cri.SwapUsageInit {
  const { swapBytes, swapLimitBytes } = cgroup.memory;
  return {
    timestamp: toInt64(cgroup.timestampNs),
    swapUsageBytes: counted(swapBytes),
    swapAvailableBytes: counted(left(swapLimitBytes, swapBytes)),
  };
}

/** What a limit leaves; 0 without a limit, as kubelet expects. */
function left(limit: bigint | undefined, used: bigint): bigint {
  return limit === undefined || limit < used ? 0n : limit - used;
}

function pressureToWire(psi: Pressure | undefined): cri.PsiStatsInit | undefined {
  return psi && { Full: lineToWire(psi.full), Some: lineToWire(psi.some) };
}

function lineToWire(line: Pressure['some']): cri.PsiDataInit {
  return { Total: toUint64(line.totalNs), Avg10: line.avg10, Avg60: line.avg60, Avg300: line.avg300 };
}
