/**
 * Exit statuses of this process's children. Own children (spawn.ts) are
 * reaped by pid, each exactly once, when SIGCHLD says that something ended;
 * a slow timer covers a signal that was merged or came too early. Orphans
 * that a subreaper adopts are reaped too, after a pause and never out of our
 * own process group, where libuv's children live: those belong to libuv.
 */
import { libcFunction } from './libc.ts';

/** How a process ended: one of the two; neither when someone else reaped it. */
export interface ExitStatus {
  /** The exit code, when it exited by itself. */
  readonly code: number | undefined;
  /** The number of the signal that killed it. */
  readonly signal: number | undefined;
}

/** How often children are looked at without a SIGCHLD, in ms: a net under the signal, rarely needed. */
const RESCAN_MS = 1_000;
/** How long an unknown zombie is left alone, in ms, so that its real parent code in this process reaps it first. */
const ADOPTED_GRACE_MS = 50;
/** Adopted zombies reaped in one go; a call costs 1 us, and the next SIGCHLD or rescan takes the rest. */
const ADOPTED_BATCH = 256;

// waitpid(2), waitid(2)
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x0100_0000;
const P_ALL = 0;
/** sizeof(siginfo_t), and where si_pid is in it on 64-bit Linux. */
const SIGINFO_BYTES = 128;
const SI_PID_OFFSET = 16;

const waitpid = libcFunction('int waitpid(int pid, _Out_ int *status, int options)');
const waitid = libcFunction('int waitid(int idtype, uint id, void *info, int options)');
const getpgid = libcFunction('int getpgid(int pid)');

interface OwnChild {
  readonly exited: Promise<ExitStatus>;
  readonly settle: (status: ExitStatus) => void;
  keepsAlive: boolean;
}

const own = new Map<number, OwnChild>();
let listening = false;
let adopting = false;
let holds = 0;
let rescan: NodeJS.Timeout | undefined;
let adoptedSweep: NodeJS.Timeout | undefined;

/** Begins to listen for exits; call it before the first child starts. Idempotent. */
export function listenForExits(): void {
  if (listening) return;
  listening = true;
  process.on('SIGCHLD', onChildSignal);
}

/**
 * Resolves with the status of child `pid`: one that spawn.ts started, or an
 * orphan that this process adopted, which may have ended already. Asked again
 * while it runs, both get it. The event loop stays alive for it until `releaseLoop`.
 */
export function awaitExit(pid: number): Promise<ExitStatus> {
  const known = own.get(pid);
  if (known !== undefined) return known.exited;
  listenForExits();
  const { promise, resolve } = Promise.withResolvers<ExitStatus>();
  own.set(pid, { exited: promise, settle: resolve, keepsAlive: true });
  reap(pid, resolve); // the signal of an orphan that has ended already is past
  updateRescan();
  return promise;
}

/** True until own child `pid` was reaped: so long its number cannot mean another process. */
export function isUnreaped(pid: number): boolean {
  return own.has(pid);
}

/** Lets this process end while own child `pid` runs. */
export function releaseLoop(pid: number): void {
  const child = own.get(pid);
  if (child === undefined) return;
  child.keepsAlive = false;
  updateRescan();
}

/** Begins to reap adopted orphans. Idempotent. */
export function reapAdopted(): void {
  listenForExits();
  adopting = true;
  updateRescan();
  onChildSignal();
}

/**
 * Until it is disposed of, no adopted orphan is reaped: for one who starts a
 * program that leaves an orphan behind and claims it with `awaitExit` once its
 * pid is known. Keep it short.
 */
export function holdAdopted(): Disposable {
  holds += 1;
  let held = true;
  return {
    [Symbol.dispose]() {
      if (held) holds -= 1;
      held = false;
    },
  };
}

function onChildSignal(): void {
  reapOwn();
  if (adopting && adoptedSweep === undefined && firstZombie() !== undefined) {
    adoptedSweep = setTimeout(sweepAdopted, ADOPTED_GRACE_MS);
    adoptedSweep.unref();
  }
}

function reapOwn(): void {
  for (const [pid, child] of own) reap(pid, child.settle);
  updateRescan();
}

function reap(pid: number, settle: OwnChild['settle']): void {
  const status: [number] = [0];
  const result = waitpid(pid, status, WNOHANG);
  if (result === 0) return; // it runs
  own.delete(pid);
  settle(result === pid ? decode(status[0]) : { code: undefined, signal: undefined });
}

/** wait(2): the low seven bits are the signal, else the next eight the code. */
function decode(status: number): ExitStatus {
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff, signal: undefined } : { code: undefined, signal };
}

/** Keeps the rescan timer running while there is something to wait for, and the loop alive while someone needs it. */
function updateRescan(): void {
  if (own.size === 0 && !adopting) {
    clearInterval(rescan);
    rescan = undefined;
    return;
  }
  rescan ??= setInterval(onChildSignal, RESCAN_MS);
  if (own.values().some((child) => child.keepsAlive)) rescan.ref();
  else rescan.unref();
}

/** The first zombie among all children, left as it is. */
function firstZombie(): number | undefined {
  const info = Buffer.alloc(SIGINFO_BYTES);
  if (waitid(P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT) !== 0) return undefined; // ECHILD: no children at all
  const pid = info.readInt32LE(SI_PID_OFFSET);
  return pid === 0 ? undefined : pid;
}

function sweepAdopted(): void {
  adoptedSweep = undefined;
  reapOwn();
  if (holds > 0) return; // the next SIGCHLD or rescan comes back to it
  const ownGroup = getpgid(0);
  const status: [number] = [0];
  for (let count = 0; count < ADOPTED_BATCH; count += 1) {
    const pid = firstZombie();
    // spawn.ts puts every child into a session of its own, so what descends from one is never in our group.
    if (pid === undefined || own.has(pid) || getpgid(pid) === ownGroup) return;
    waitpid(pid, status, WNOHANG);
  }
}
