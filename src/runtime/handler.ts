/**
 * How one OCI runtime is called: its binary, its state root and the global
 * arguments every call shares. The command lines of runc and crun are the
 * same for all that is used here.
 */
import { join } from 'node:path';
import { type RunResult, run } from '../sys/index.ts';

/** Which program makes cgroups; 'systemd' adds --systemd-cgroup to every call. */
export type RuntimeCgroupDriver = 'cgroupfs' | 'systemd';

/** A runtime binary with its place for state. */
export interface Handler {
  readonly name: string;
  /** Absolute path of the binary. */
  readonly path: string;
  /** Directory in which it keeps one directory per container. */
  readonly root: string;
  readonly cgroupDriver: RuntimeCgroupDriver;
}

/** The arguments between the binary and the command; errors come as JSON lines on standard error. */
export function globalArguments(handler: Handler): string[] {
  const systemd = handler.cgroupDriver === 'systemd' ? ['--systemd-cgroup'] : [];
  return [`--root=${handler.root}`, '--log-format=json', ...systemd];
}

/** Directory of a container's runtime state; exists exactly while the runtime knows the container. */
export const stateDirectory = (handler: Handler, id: string): string => join(handler.root, id);

/** One call of the runtime. */
export interface Call {
  args: readonly string[];
  timeoutMs: number;
  input?: string;
  signal?: AbortSignal;
}

/** Calls the runtime and waits for its end; never rejects for its exit code. */
export function call(handler: Handler, { args, timeoutMs, input, signal }: Call): Promise<RunResult> {
  return run({
    argv: [handler.path, ...globalArguments(handler), ...args],
    timeoutMs,
    ...(input === undefined ? {} : { input }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** True when the call ended by itself with exit code 0. */
export const succeeded = (result: RunResult): boolean => result.status.code === 0 && !result.timedOut;

/** Everything a failed call said; what happened to it when it said nothing. */
export function saidBy(result: RunResult): string {
  const said = result.stderr.toString().trim() || result.stdout.toString().trim();
  if (said !== '') return said;
  if (result.timedOut) return 'it did not end in time and was killed';
  return result.status.signal === undefined
    ? `it ended with code ${result.status.code}`
    : `it was killed by signal ${result.status.signal}`;
}
