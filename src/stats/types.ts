/** One sample of the node's pods, shared by CRI stats, CRI metrics and Prometheus. */
import type { CgroupStats } from '../cgroup/index.ts';
import type { ContainerRecord } from '../container/index.ts';
import type { InterfaceStats } from '../network/index.ts';
import type { SandboxRecord } from '../sandbox/index.ts';

/** Bytes and inodes of a container's own writable layer. */
export interface WritableLayerStats {
  timestampNs: bigint;
  mountpoint: string;
  usedBytes: bigint;
  inodesUsed: bigint;
}

/** A running container's sample. */
export interface ContainerSample {
  record: Readonly<ContainerRecord>;
  cgroup: CgroupStats;
  /** CPU rate over the last two samples, ns of cpu per s; undefined with the first one. */
  usageNanoCores?: bigint;
  writableLayer?: WritableLayerStats;
}

/** A ready sandbox's sample. */
export interface SandboxSample {
  record: Readonly<SandboxRecord>;
  /** The pod's parent cgroup when it is the pod's own, else the sum of its leaves; undefined when nothing could be read. */
  cgroup: CgroupStats | undefined;
  /** Path of the pod's own parent cgroup; undefined when pods share the parent and `cgroup` is a sum. */
  cgroupPath?: string;
  /** The pause process's own leaf. */
  pause?: CgroupStats;
  usageNanoCores?: bigint;
  interfaces: InterfaceStats[];
  processCount: number;
  containers: ContainerSample[];
}

/** Sampler of every ready pod. A sample younger than its freshness bound is reused while the same pods and containers run. */
export interface Sampler {
  /** Fresh within `maxAgeMs` (default 1000), and with everything that runs at the call. Synchronous work in slices below 5 ms. */
  sample(maxAgeMs?: number): Promise<readonly SandboxSample[]>;
  sandbox(id: string): Promise<SandboxSample | undefined>;
  container(id: string): Promise<ContainerSample | undefined>;
  close(): void;
}
