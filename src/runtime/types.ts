/** OCI runtimes, their monitor, and how containers end. Knows nothing of pods. */
import type { ProcessRef } from '../sys/index.ts';

/** One configured and probed OCI runtime. */
export interface HandlerInfo {
  name: string;
  /** Absolute path of the binary. */
  path: string;
  /** First line of --version. */
  version: string;
  /** True when a throw-away container really ran on this host. */
  usable: boolean;
  /** Why not, in the runtime's own words. */
  problem: string;
  /** From `features`: recursive read-only mounts, idmapped mounts. */
  features: { recursiveReadOnlyMounts: boolean; idmapMounts: boolean };
}

/** How to make a container; the bundle holds config.json and the mounted rootfs. */
export interface CreateRequest {
  id: string;
  handler: string;
  /** Absolute; also conmon's working directory and place of its attach socket and ctl fifo. */
  bundleDir: string;
  /** Absolute path of the log; '' discards output. */
  logPath: string;
  terminal: boolean;
  stdin: boolean;
  stdinOnce: boolean;
  /** cgroupfs path the monitor is put in; '' leaves it beside the daemon. */
  monitorCgroup: string;
}

/** End of a container's first process. */
export interface ContainerExited {
  id: string;
  /** 0..255; 128+n for signal n; undefined when nobody could know. */
  exitCode: number | undefined;
  finishedAtNs: bigint;
  /** conmon saw the kernel's out-of-memory killer in this cgroup. */
  oom: boolean;
}

/** A command in a running container; without a terminal. */
export interface ExecRequest {
  id: string;
  handler: string;
  bundleDir: string;
  /** An OCI runtime-spec process object. */
  process: Record<string, unknown>;
  /** 0 is no limit. */
  timeoutMs: number;
  /** Bytes kept of each stream; the rest is discarded. */
  streamLimitBytes: number;
}

/** A container to take over after the daemon was restarted. */
export interface AdoptRequest {
  id: string;
  handler: string;
  bundleDir: string;
  init: ProcessRef;
  monitor: ProcessRef;
}

/** The OCI runtime port of the container domain. */
export interface OciRuntime {
  /** Every configured handler, probed at start. */
  readonly handlers: readonly HandlerInfo[];
  /** '' is the default; throws UNKNOWN_RUNTIME_HANDLER or NO_USABLE_RUNTIME. */
  resolve(name: string): HandlerInfo;
  /** Creates without starting: conmon and the runtime's init wait. On failure nothing is left. */
  create(request: CreateRequest, signal: AbortSignal): Promise<{ init: ProcessRef; monitor: ProcessRef }>;
  /** Runs the user's process. Throws START_FAILED with the runtime's own words. */
  start(id: string, handler: string, signal: AbortSignal): Promise<void>;
  /** Sends a signal to the first process, or to all of the container's. ESRCH is success. */
  kill(id: string, handler: string, signalNumber: number, options?: { all?: boolean }): Promise<void>;
  /** Forced, idempotent: runtime state, monitor, exit files. The bundle directory is the caller's. */
  delete(id: string, handler: string, bundleDir: string): Promise<void>;
  execSync(request: ExecRequest, signal: AbortSignal): Promise<{ exitCode: number; stdout: Uint8Array; stderr: Uint8Array }>;
  update(id: string, handler: string, resources: Record<string, unknown>): Promise<void>;
  /** Returns when the monitor has opened the new file at logPath. */
  reopenLog(id: string, bundleDir: string, logPath: string): Promise<void>;
  /** Whether the user’s process of a created container was let go; asks the runtime. For recovery. */
  wasStarted(id: string, handler: string): Promise<boolean>;
  /** Takes a container over: its exit will be reported, at once if it is past. */
  adopt(request: AdoptRequest): void;
  /** Called for each exit, once; set before the first create or adopt. */
  onExit(listener: (exited: ContainerExited) => void): void;
  /** Ids that the runtimes or monitors on this host know under our state root; for recovery. */
  known(): Promise<{ id: string; handler: string }[]>;
  close(): Promise<void>;
}
