/**
 * Network, IPC and UTS namespaces: made and pinned to files, or entered for a
 * moment. A thread changes its own namespaces only, so everything from entry
 * to return is synchronous on the main thread, and a return that fails ends
 * the process: going on in a pod's namespace would be worse than a restart.
 * Threads born inside would stay inside, so libuv's pool is started before.
 */
import { closeSync, openSync, rmSync, stat } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { RuntimeError } from '../errors/index.ts';
import { check, errnoName, lastErrno, libcFunction, SysError } from './libc.ts';
import { bindMount, unmount } from './mount.ts';

/** The kinds of namespaces that a pod pins. */
type PinnedKind = 'net' | 'ipc' | 'uts';
/** A path for some of them. */
type NamespacePaths = Readonly<Partial<Record<PinnedKind, string>>>;

/** What `pinNamespaces` makes. */
export interface PinOptions extends NamespacePaths {
  /** Host name of the new UTS namespace; needs `uts`. */
  readonly hostname?: string;
  /** Runs inside the new namespaces when they are pinned; must be synchronous. What it throws undoes everything. */
  readonly inside?: () => void;
  /** The first process that `inside` starts becomes PID 1 of a new PID namespace. */
  readonly newPidForChildren?: boolean;
}

const KINDS: readonly PinnedKind[] = ['net', 'ipc', 'uts'];
// clone(2)
const CLONE_FLAGS = { net: 0x4000_0000, ipc: 0x0800_0000, uts: 0x0400_0000, pid: 0x2000_0000 } as const;

const unshareCall = libcFunction('int unshare(int flags)');
const setns = libcFunction('int setns(int fd, int type)');
const sethostname = libcFunction('int sethostname(const char *name, size_t length)');
const socketCall = libcFunction('int socket(int domain, int type, int protocol)');
const ioctl = libcFunction('int ioctl(int fd, ulong request, void *argument)');

/**
 * Makes new namespaces, pins each onto the file of its path (created here,
 * must not exist; a directory with private propagation keeps them out of
 * other mount namespaces), runs `inside` there and returns to where it was.
 * Takes about 1 ms. On any failure nothing stays behind and NAMESPACE_FAILED
 * is thrown, or what `inside` threw.
 */
export function pinNamespaces(options: PinOptions): void {
  const kinds = KINDS.filter((kind) => options[kind] !== undefined);
  if (options.hostname !== undefined && options.uts === undefined) {
    throw new RuntimeError('internal', 'NAMESPACE_FAILED', 'a host name needs a UTS namespace of its own; this would rename the node');
  }
  using undo = new DisposableStack();
  const work = (): void => {
    must('unshare', unshareCall(flagsOf(kinds)), `cannot make new ${kinds.join(', ')} namespaces`);
    if (options.hostname !== undefined) setHostname(options.hostname);
    for (const kind of kinds) pin(kind, options[kind] ?? '', undo);
    if (options.newPidForChildren === true) must('unshare', unshareCall(CLONE_FLAGS.pid), 'cannot make a new pid namespace');
    assertSynchronous(options.inside?.());
  };
  andReturn(options.newPidForChildren === true ? [...kinds, 'pid'] : kinds, work);
  undo.move();
}

/**
 * Runs `work` in the namespaces pinned at `paths` and returns its result; the
 * others stay. Sockets and children made inside stay in there. Throws
 * NAMESPACE_FAILED when one cannot be entered.
 */
export function inNamespaces<T>(paths: NamespacePaths, work: () => T): T {
  const kinds = KINDS.filter((kind) => paths[kind] !== undefined);
  using opened = new DisposableStack();
  const targets = kinds.map((kind) => ({ kind, path: paths[kind] ?? '', fd: openNamespace(paths[kind] ?? '', opened) }));
  return andReturn(kinds, () => {
    for (const { kind, path, fd } of targets) must('setns', setns(fd, CLONE_FLAGS[kind]), `cannot enter the ${kind} namespace ${path}`);
    const result = work();
    assertSynchronous(result);
    return result;
  });
}

/** Sets the loopback interface of the current network namespace up; idempotent. */
export function loopbackUp(): void {
  // netdevice(7), socket(2)
  const AF_INET = 2;
  const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
  const SIOCGIFFLAGS = 0x8913;
  const SIOCSIFFLAGS = 0x8914;
  const IFF_UP = 1;
  const IFREQ_BYTES = 40;
  const FLAGS_OFFSET = 16;
  const fd = check(socketCall(AF_INET, SOCK_DGRAM_CLOEXEC, 0), 'socket', 'AF_INET for the loopback interface');
  try {
    const request = Buffer.alloc(IFREQ_BYTES);
    request.write('lo', 'ascii');
    check(ioctl(fd, SIOCGIFFLAGS, request), 'ioctl', 'SIOCGIFFLAGS of lo');
    request.writeInt16LE(request.readInt16LE(FLAGS_OFFSET) | IFF_UP, FLAGS_OFFSET);
    check(ioctl(fd, SIOCSIFFLAGS, request), 'ioctl', 'SIOCSIFFLAGS of lo');
  } finally {
    closeSync(fd);
  }
}

/** Runs `work`, which may change the namespaces of `kinds`, and sets them back whatever happens. */
function andReturn<T>(kinds: readonly (PinnedKind | 'pid')[], work: () => T): T {
  if (!isMainThread) throw new RuntimeError('internal', 'NAMESPACE_FAILED', 'namespaces are changed on the main thread only');
  startThreadPool();
  using opened = new DisposableStack();
  const home = kinds.map((kind) => ({ kind, fd: openNamespace(`/proc/thread-self/ns/${kind}`, opened) }));
  try {
    return work();
  } finally {
    for (const { kind, fd } of home) {
      if (setns(fd, CLONE_FLAGS[kind]) === 0) continue;
      const code = errnoName(lastErrno());
      process.stderr.write(`berth: cannot return to the node's ${kind} namespace: ${code}; ending at once, a restart adopts all pods\n`);
      process.abort();
    }
  }
}

let poolStarted = false;

/** libuv makes all its pool threads, synchronously, when the first work is queued. */
function startThreadPool(): void {
  if (poolStarted) return;
  poolStarted = true;
  stat('/', () => undefined);
}

function pin(kind: PinnedKind, path: string, undo: DisposableStack): void {
  try {
    closeSync(openSync(path, 'wx', 0o444));
  } catch (cause) {
    throw failure(`cannot create the pin file ${path} of a ${kind} namespace`, cause);
  }
  undo.defer(() => rmSync(path, { force: true }));
  bindMount(`/proc/thread-self/ns/${kind}`, path);
  undo.defer(() => unmount(path, { detach: true }));
}

function setHostname(name: string): void {
  must('sethostname', sethostname(name, Buffer.byteLength(name)), `cannot set the host name ${name}`);
}

function openNamespace(path: string, owner: DisposableStack): number {
  try {
    const fd = openSync(path, 'r');
    owner.defer(() => closeSync(fd));
    return fd;
  } catch (cause) {
    throw failure(`cannot open the namespace ${path}`, cause);
  }
}

function flagsOf(kinds: readonly PinnedKind[]): number {
  return kinds.reduce((flags, kind) => flags | CLONE_FLAGS[kind], 0);
}

function assertSynchronous(result: unknown): void {
  if (!(result instanceof Promise)) return;
  result.catch(() => undefined); // the defect below is the news
  throw new RuntimeError('internal', 'INTERNAL', 'work inside a namespace must be synchronous; this is a defect of berth, report it');
}

function must(syscall: string, result: number, attempt: string): void {
  if (result < 0) throw failure(attempt, new SysError(lastErrno(), syscall));
}

function failure(attempt: string, cause: unknown): RuntimeError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  const hint = code === 'ENOSPC' ? 'raise the limits in /proc/sys/user' : 'berth needs to run as root; `berth doctor` tells what lacks';
  return new RuntimeError('internal', 'NAMESPACE_FAILED', `${attempt}: ${code}; ${hint}`, { cause });
}
