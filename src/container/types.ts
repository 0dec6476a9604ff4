/**
 * What a container is, in the domain's own words. No protobuf here: cri/
 * converts. Source of the fields: api.proto ContainerConfig and relatives.
 */
import type { ContainerId, ImageId, SandboxId } from '../ids/index.ts';
import type { IdMapping, LinuxResources, NamespaceOptions, SecurityProfile, SelinuxOptions } from '../sandbox/index.ts';
import type { ProcessRef } from '../sys/index.ts';

/** api.proto ImageSpec. */
export interface ImageSpec {
  /** Reference or image id. */
  image: string;
  userSpecifiedImage: string;
  runtimeHandler: string;
  annotations: Record<string, string>;
}

/** api.proto Mount. */
export interface MountSpec {
  containerPath: string;
  hostPath: string;
  readonly: boolean;
  recursiveReadOnly: boolean;
  selinuxRelabel: boolean;
  propagation: 'private' | 'host-to-container' | 'bidirectional';
  uidMappings: IdMapping[];
  gidMappings: IdMapping[];
  /** Set for an image volume. */
  image?: ImageSpec;
  imageSubPath: string;
  /** noexec, nodev, nosuid. */
  options: string[];
}

/** api.proto Device. */
export interface DeviceSpec {
  containerPath: string;
  hostPath: string;
  /** Some of r, w, m. */
  permissions: string;
}

/** api.proto LinuxContainerSecurityContext. */
export interface ContainerSecurity {
  addCapabilities: string[];
  dropCapabilities: string[];
  addAmbientCapabilities: string[];
  privileged: boolean;
  namespaces: NamespaceOptions;
  selinux?: SelinuxOptions;
  runAsUser?: number;
  runAsGroup?: number;
  runAsUsername: string;
  readonlyRootfs: boolean;
  supplementalGroups: number[];
  supplementalGroupsPolicy: 'merge' | 'strict';
  noNewPrivs: boolean;
  maskedPaths: string[];
  readonlyPaths: string[];
  seccomp?: SecurityProfile;
  apparmor?: SecurityProfile;
}

/** Everything CreateContainer asks for (api.proto ContainerConfig). */
export interface ContainerSpec {
  metadata: { name: string; attempt: number };
  image: ImageSpec;
  /** Replaces the image's entrypoint; the image's Cmd is then ignored. */
  command: string[];
  /** Replaces the image's Cmd. */
  args: string[];
  workingDir: string;
  /** Values are bytes, not text (api.proto KeyValue since 1.34). */
  envs: { key: string; value: Uint8Array }[];
  mounts: MountSpec[];
  devices: DeviceSpec[];
  /** Fully qualified CDI names. */
  cdiDevices: string[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** Relative to the sandbox's log directory; '' keeps no log. */
  logPath: string;
  stdin: boolean;
  stdinOnce: boolean;
  tty: boolean;
  resources: LinuxResources;
  security: ContainerSecurity;
  /** Signal name without SIG_ prefix oddities ('SIGTERM', 'SIGRTMIN+3'); undefined: the image's, then SIGTERM. */
  stopSignal?: string;
}

/** How the first process ended. */
export interface ContainerExit {
  /** 0..255; 128+n for signal n. */
  exitCode: number;
  finishedAtNs: bigint;
  /** Completed, Error, OOMKilled, StartError, Unknown. */
  reason: 'Completed' | 'Error' | 'OOMKilled' | 'StartError' | 'Unknown';
  /** For the user; '' when there is nothing to say. */
  message: string;
}

/** api.proto ContainerState. */
export type ContainerState = 'created' | 'running' | 'exited' | 'unknown';

/** Identity of the first process (api.proto ContainerUser). */
export interface ContainerUser {
  uid: number;
  gid: number;
  supplementalGroups: number[];
}

/** The row of a container in the store; also what everything is answered from. */
export interface ContainerRecord {
  id: ContainerId;
  sandboxId: SandboxId;
  spec: ContainerSpec;
  imageId: ImageId;
  /** NAME@DIGEST when known, else the image id (ContainerStatus.image_ref). */
  imageRef: string;
  /** Absolute; '' keeps no log. */
  logPath: string;
  /** Resolved stop signal number. */
  stopSignal: number;
  handler: string;
  /** cgroupfs syntax. */
  cgroupPath: string;
  user: ContainerUser;
  createdAtNs: bigint;
  /** Set when CreateContainer succeeded; a record without it is an intent. */
  readyAtNs?: bigint;
  /** Why its process can never start, found out by the OCI runtime’s create; StartContainer tells it. */
  startProblem?: string;
  /** Written before the OCI start is tried. */
  startRequestedAtNs?: bigint;
  startedAtNs?: bigint;
  init?: ProcessRef;
  monitor?: ProcessRef;
  exit?: ContainerExit;
  /** First StopContainer: when, so that a second one does not resend the signal. */
  stopSignaledAtNs?: bigint;
  /** What of the request this host made weaker, in words; for verbose status. */
  clamped?: string[];
  /** OOM kills seen in its cgroup so far. */
  oomKills: number;
  bootId: string;
}

/** Filters are ANDed (api.proto ContainerFilter). */
export interface ContainerFilter {
  id?: string;
  sandboxId?: string;
  state?: ContainerState;
  labels?: Record<string, string>;
}

/** What an ExecSync brought back; each stream is cut at 16 MiB. */
export interface ExecResult {
  exitCode: number;
  stdout: Uint8Array;
  stderr: Uint8Array;
}

/** The container lifecycle as the edges see it. */
export interface ContainerService {
  /** Never pulls. Joins a create of the same (sandbox, name, attempt) in flight. */
  create(sandboxId: string, spec: ContainerSpec, signal: AbortSignal): Promise<ContainerId>;
  start(id: string, signal: AbortSignal): Promise<void>;
  /** Idempotent; an unknown id is success. timeoutSeconds 0 kills at once. */
  stop(id: string, timeoutSeconds: number, signal: AbortSignal): Promise<void>;
  /** Idempotent and forced; an unknown id is success. */
  remove(id: string, signal: AbortSignal): Promise<void>;
  /** By id or unique prefix; throws CONTAINER_NOT_FOUND or AMBIGUOUS_ID. */
  get(id: string): Readonly<ContainerRecord>;
  list(filter: ContainerFilter): Readonly<ContainerRecord>[];
  /** Returns after the new log file exists. */
  reopenLog(id: string): Promise<void>;
  /** timeoutSeconds 0 is no limit; on time-out the tree is killed and EXEC_TIMEOUT thrown. */
  execSync(id: string, argv: string[], timeoutSeconds: number, signal: AbortSignal): Promise<ExecResult>;
}

/** State is derived from facts, never stored. */
export function containerState(record: Readonly<ContainerRecord>): ContainerState {
  if (record.exit !== undefined) return 'exited';
  if (record.startedAtNs !== undefined) return 'running';
  return record.readyAtNs === undefined ? 'unknown' : 'created';
}
