/** Control groups: where they are, what they hold, what they count. */

/** Pressure totals in ns and averages in percent (cgroup-v2.rst PSI). */
export interface Pressure {
  some: { totalNs: bigint; avg10: number; avg60: number; avg300: number };
  full: { totalNs: bigint; avg10: number; avg60: number; avg300: number };
}

/** CPU controller. */
export interface CpuStats {
  usageNs: bigint;
  userNs: bigint;
  systemNs: bigint;
  /** Enforcement periods, those throttled, time throttled; 0 without a quota. */
  periods: bigint;
  throttledPeriods: bigint;
  throttledNs: bigint;
  /** Microseconds of cpu per period of microseconds; undefined is unlimited. */
  quota?: { quotaUs: bigint; periodUs: bigint };
  /** undefined where the kernel has none. */
  psi?: Pressure;
}

/** Memory controller, bytes unless said otherwise. */
export interface MemoryStats {
  usageBytes: bigint;
  /** usage minus inactive file pages, never below 0. */
  workingSetBytes: bigint;
  rssBytes: bigint;
  cacheBytes: bigint;
  mappedFileBytes: bigint;
  kernelBytes: bigint;
  activeFileBytes: bigint;
  inactiveFileBytes: bigint;
  swapBytes: bigint;
  maxUsageBytes: bigint;
  /** undefined is unlimited. */
  limitBytes?: bigint;
  /** Of swap alone, without memory; undefined is unlimited. */
  swapLimitBytes?: bigint;
  /** Faults, count. */
  pageFaults: bigint;
  majorPageFaults: bigint;
  /** Times the limit was hit. */
  failcnt: bigint;
  /** Processes killed for want of memory. */
  oomKills: bigint;
  psi?: Pressure;
}

/** Process-number controller. It counts threads (tasks), as the kernel's limit does. */
export interface PidsStats {
  /** Tasks in the cgroup and below. */
  current: bigint;
  /** Processes directly in the cgroup; undefined where the kernel does not list them. */
  processes?: bigint;
  /** undefined is unlimited. */
  limit?: bigint;
}

/** Block input and output of one device. */
export interface IoDeviceStats {
  /** MAJOR:MINOR */
  device: string;
  readBytes: bigint;
  writeBytes: bigint;
  reads: bigint;
  writes: bigint;
}

/** Huge pages of one size. */
export interface HugetlbStats {
  /** '2MB', '1GB'. */
  pageSize: string;
  usageBytes: bigint;
  /** undefined on cgroup v2, which keeps none. */
  maxUsageBytes?: bigint;
}

/** One reading of one cgroup. */
export interface CgroupStats {
  timestampNs: bigint;
  cpu: CpuStats;
  memory: MemoryStats;
  pids: PidsStats;
  io: { devices: IoDeviceStats[]; psi?: Pressure };
  hugetlb: HugetlbStats[];
}

/** How this host mounts its cgroups. */
export interface CgroupLayout {
  mode: 'v2' | 'hybrid' | 'v1';
  /** v2 mount point, when there is one. */
  unified?: string;
  /** v1 controller -> mount point. */
  legacy: Record<string, string>;
  /** Controllers that can be used. */
  controllers: string[];
}

/** Which program makes the cgroups. */
export type CgroupDriver = 'cgroupfs' | 'systemd';

/** The host's cgroups as the rest of the daemon sees them. Paths are in cgroupfs syntax, absolute from the hierarchy's root. */
export interface Cgroups {
  readonly layout: CgroupLayout;
  readonly driver: CgroupDriver;
  /** Checks a pod's parent against the driver; throws CGROUP_FAILED (kind invalid). */
  checkParent(parent: string): void;
  /** Makes a leaf (all controllers) and its parents. Idempotent. */
  create(path: string): void;
  /** Moves a process into a leaf. */
  add(path: string, pid: number): void;
  /** Removes a leaf and, upwards, parents that berth made and that are empty. Kills what is in it first. Idempotent. */
  remove(path: string): Promise<void>;
  /** Sends SIGKILL to everything in it: cgroup.kill, or a freeze-and-signal walk on v1. */
  kill(path: string): Promise<void>;
  /** Pids in it and below. */
  pids(path: string): number[];
  /** One reading; undefined when the cgroup is gone. Synchronous, cached fds. */
  read(path: string): CgroupStats | undefined;
  /** Closes the cached fds of a path. */
  forget(path: string): void;
  /** runtime-spec linux.cgroupsPath of a container in a pod parent, for the driver. */
  ociPath(parent: string, id: string): string;
  /** cgroupfs path of the same. */
  leafPath(parent: string, id: string): string;
}
