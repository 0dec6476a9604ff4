/**
 * What a pod sandbox is, in the domain's own words. No protobuf here: cri/
 * converts. Source of the fields: api.proto PodSandboxConfig and relatives.
 */
import type { LifecycleEvent } from '../events/index.ts';
import type { SandboxId } from '../ids/index.ts';
import type { Attachment, DnsConfig, PortMapping } from '../network/index.ts';
import type { ProcessRef } from '../sys/index.ts';

/** Which namespace a process joins (api.proto NamespaceMode). */
export type NamespaceMode = 'pod' | 'container' | 'node' | 'target';

/** One line of a user namespace map; lengths in ids (api.proto IDMapping). */
export interface IdMapping {
  hostId: number;
  containerId: number;
  length: number;
}

/** api.proto NamespaceOption. */
export interface NamespaceOptions {
  network: NamespaceMode;
  pid: NamespaceMode;
  ipc: NamespaceMode;
  /** Container whose pid namespace is joined when pid is 'target'. */
  targetId?: string;
  user?: { mode: NamespaceMode; uids: IdMapping[]; gids: IdMapping[] };
}

/** api.proto SecurityProfile. */
export interface SecurityProfile {
  type: 'runtime-default' | 'unconfined' | 'localhost';
  /** Profile name (AppArmor) or absolute path (seccomp) for 'localhost'. */
  localhostRef: string;
}

/** api.proto SELinuxOption. */
export interface SelinuxOptions {
  user: string;
  role: string;
  type: string;
  level: string;
}

/** Who a pod is; unique on the node together with the attempt. */
export interface SandboxMetadata {
  name: string;
  namespace: string;
  uid: string;
  attempt: number;
}

/** cgroup limits (api.proto LinuxContainerResources); a 0 or '' of the wire is undefined here. */
export interface LinuxResources {
  /** Microseconds. */
  cpuPeriod?: bigint;
  /** Microseconds per period; -1 is unlimited. */
  cpuQuota?: bigint;
  /** Relative weight, 1024 = one cpu's worth in v1 terms. */
  cpuShares?: bigint;
  memoryLimitBytes?: bigint;
  /** Memory plus swap. */
  memorySwapLimitBytes?: bigint;
  /** -1000..1000. */
  oomScoreAdj?: number;
  cpusetCpus?: string;
  cpusetMems?: string;
  /** Page size in words ('2MB'), limit in bytes. */
  hugepageLimits: { pageSize: string; limitBytes: bigint }[];
  /** cgroup v2 files by name, verbatim. */
  unified: Record<string, string>;
}

/** Everything RunPodSandbox asks for (api.proto PodSandboxConfig). */
export interface SandboxSpec {
  metadata: SandboxMetadata;
  /** Empty only with network mode 'node'. */
  hostname: string;
  /** Absolute directory of the containers' logs; may be empty. */
  logDirectory: string;
  /** undefined: the host's resolv.conf is copied. */
  dns?: DnsConfig;
  portMappings: PortMapping[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** '' is the default handler. */
  runtimeHandler: string;
  /** cgroupfs syntax, e.g. /kubepods/burstable/podUID; '' is the configured default. */
  cgroupParent: string;
  sysctls: Record<string, string>;
  namespaces: NamespaceOptions;
  privileged: boolean;
  readonlyRootfs: boolean;
  runAsUser?: number;
  runAsGroup?: number;
  supplementalGroups: number[];
  seccomp?: SecurityProfile;
  apparmor?: SecurityProfile;
  selinux?: SelinuxOptions;
  resources?: LinuxResources;
  overhead?: LinuxResources;
}

/** api.proto PodSandboxState. */
export type SandboxState = 'ready' | 'notready';

/** The row of a sandbox in the store; also what everything is answered from. */
export interface SandboxRecord {
  id: SandboxId;
  spec: SandboxSpec;
  /** Resolved handler name. */
  handler: string;
  createdAtNs: bigint;
  /** Set when RunPodSandbox succeeded; a record without it is an intent. */
  readyAtNs?: bigint;
  /** Set when the sandbox stopped, by request or because its pause process died. */
  stoppedAtNs?: bigint;
  /** Why it is not ready, when it stopped by itself. */
  stopReason?: string;
  /** The pause process; undefined when the pod needs none. */
  pause?: ProcessRef;
  /** Absolute paths of pinned namespaces. */
  pins: { net?: string; ipc?: string; uts?: string; pid?: string };
  /** cgroup of the pause process, cgroupfs syntax. */
  cgroupPath?: string;
  /** Network attachment; undefined for host network. */
  network?: Attachment;
  /** Last resources told by UpdatePodSandboxResources. */
  updatedResources?: { resources?: LinuxResources; overhead?: LinuxResources };
  /** boot_id of the boot it was made in. */
  bootId: string;
}

/** A lifecycle event with its pod as it was then; after the deletion there is nothing left to look up. */
export interface PodEvent extends LifecycleEvent {
  readonly sandbox: Readonly<SandboxRecord>;
}

/** Filters are ANDed (api.proto PodSandboxFilter). */
export interface SandboxFilter {
  /** Id or unique prefix. */
  id?: string;
  state?: SandboxState;
  labels?: Record<string, string>;
}

/** The sandbox lifecycle as the edges see it. */
export interface SandboxService {
  /** Success means READY. Joins a run of the same (uid, attempt) in flight. */
  run(spec: SandboxSpec, signal: AbortSignal): Promise<SandboxId>;
  /** Idempotent; an unknown id is success. */
  stop(id: string, signal: AbortSignal): Promise<void>;
  /** Idempotent; an unknown id is success; removes its containers too. */
  remove(id: string, signal: AbortSignal): Promise<void>;
  /** By id or unique prefix; throws SANDBOX_NOT_FOUND or AMBIGUOUS_ID. */
  get(id: string): Readonly<SandboxRecord>;
  list(filter: SandboxFilter): Readonly<SandboxRecord>[];
  updateResources(id: string, resources: LinuxResources | undefined, overhead: LinuxResources | undefined): void;
}

/** READY exactly while it was made ready and has not stopped. */
export function sandboxState(record: Readonly<SandboxRecord>): SandboxState {
  return record.readyAtNs !== undefined && record.stoppedAtNs === undefined ? 'ready' : 'notready';
}
