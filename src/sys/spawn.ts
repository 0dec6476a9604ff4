/**
 * A running child process: its pipes as streams, its exit as a promise, and
 * signals to its whole group. Invariant: a signal is only ever sent while the
 * pid is ours (not reaped), so it cannot hit a process that got the number
 * later.
 */
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { errnoOf } from '../errors/index.ts';
import { type Launched, launch, type SpawnOptions } from './launch.ts';
import { awaitExit, type ExitStatus, isUnreaped, listenForExits, releaseLoop } from './reap.ts';

export { findProgram } from './launch.ts';
export type { ExitStatus } from './reap.ts';

/** A started child. Its streams are there where a pipe was asked for, and must then be read. */
export interface Child {
  readonly pid: number;
  readonly stdin?: Writable;
  readonly stdout?: Readable;
  readonly stderr?: Readable;
  /** Resolves when it was reaped; never rejects. The pipes may still hold data, and grandchildren may hold them open. */
  readonly exited: Promise<ExitStatus>;
  /** Sends `signal` to the child's process group; does nothing when the child has been reaped. */
  kill(signal: number): void;
  /** Lets this process end while the child runs (it keeps it alive otherwise). */
  unref(): void;
}

/** A child with the numbers behind its output streams, for run.ts. */
export interface ChildWithFds {
  readonly child: Child;
  readonly pipes: Launched['pipes'];
}

/**
 * Starts a program; returns as soon as it runs. Throws RuntimeError
 * PROGRAM_MISSING when the binary does not exist, PROGRAM_FAILED when it
 * cannot be started, SysError when descriptors run out.
 */
export function spawn(options: SpawnOptions): Child {
  return spawnWithFds(options).child;
}

/** As `spawn`, with the descriptors; they belong to the streams. */
export function spawnWithFds(options: SpawnOptions): ChildWithFds {
  listenForExits(); // before the child can end
  const { pid, pipes } = launch(options);
  const exited = awaitExit(pid);
  const [stdin, stdout, stderr] = pipes;
  const child: Child = {
    pid,
    ...(stdin === undefined ? {} : { stdin: openPipe(stdin, false) }),
    ...(stdout === undefined ? {} : { stdout: openPipe(stdout, true) }),
    ...(stderr === undefined ? {} : { stderr: openPipe(stderr, true) }),
    exited,
    kill: (signal) => killGroup(pid, signal),
    unref: () => releaseLoop(pid),
  };
  return { child, pipes };
}

function openPipe(fd: number, readable: boolean): Socket {
  const socket = new Socket({ fd, readable, writable: !readable });
  // A child that ends without reading its input gives EPIPE here; its exit status is the news, not this.
  socket.on('error', () => undefined);
  return socket;
}

function killGroup(pid: number, signal: number): void {
  if (!isUnreaped(pid)) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error; // ESRCH: the whole group has ended already
  }
}
