/**
 * Starting a program: posix_spawn through koffi, 0.2 ms where libuv's fork
 * blocks the loop for 2 to 5. The child gets exactly the descriptors asked
 * for (everything else is closed), default signal actions (Node ignores
 * SIGPIPE, and that would be inherited), an empty signal mask, its own
 * session and the environment given, nothing else.
 */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { RuntimeError } from '../errors/index.ts';
import { check, closeFd, libcFunction, SysError } from './libc.ts';
import { makePipe } from './pipe.ts';

/** What to start and with what. */
export interface SpawnOptions {
  /** The arguments; `argv[0]` is an absolute path or looked up in PATH. */
  readonly argv: readonly string[];
  /** The complete environment; only PATH when absent. */
  readonly env?: Readonly<Record<string, string>>;
  /** The working directory; this process's when absent. */
  readonly cwd?: string;
  /** `null` (/dev/null) when absent. */
  readonly stdin?: 'null' | 'pipe';
  readonly stdout?: 'null' | 'pipe' | 'inherit';
  readonly stderr?: 'null' | 'pipe' | 'inherit';
  /** Descriptors of ours (`parent`) to be given as number `child`; they stay open here. */
  readonly extraFds?: readonly { readonly child: number; readonly parent: number }[];
  /** A session of its own (true when absent), else only a process group of its own. */
  readonly newSession?: boolean;
}

/** A started program: its pid and our ends of the pipes, which the caller owns now. */
export interface Launched {
  readonly pid: number;
  /** Our end of stdin, stdout and stderr, where a pipe was asked for. */
  readonly pipes: readonly [number | undefined, number | undefined, number | undefined];
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const STANDARD_FDS = 3;
/** Room for posix_spawnattr_t (336 bytes), posix_spawn_file_actions_t (80) and sigset_t (128) of any glibc. */
const OPAQUE_BYTES = 1024;
/** 64 signals, one bit each; a sigset_t without any is all zero. */
const SIGNAL_SET_BYTES = 8;
// <spawn.h>
const POSIX_SPAWN_SETPGROUP = 0x02;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;
/** fcntl(2) F_DUPFD_CLOEXEC */
const F_DUPFD_CLOEXEC = 1030;

const posixSpawn = libcFunction(
  'int posix_spawn(_Out_ int *pid, const char *path, void *actions, void *attributes, const char *const *argv, const char *const *envp)',
);
const actionsInit = libcFunction('int posix_spawn_file_actions_init(void *actions)');
const actionsDestroy = libcFunction('int posix_spawn_file_actions_destroy(void *actions)');
const actionsOpen = libcFunction('int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, uint mode)');
const actionsDup2 = libcFunction('int posix_spawn_file_actions_adddup2(void *actions, int from, int to)');
const actionsChdir = libcFunction('int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)');
const actionsCloseFrom = libcFunction('int posix_spawn_file_actions_addclosefrom_np(void *actions, int from)');
const attributesInit = libcFunction('int posix_spawnattr_init(void *attributes)');
const attributesFlags = libcFunction('int posix_spawnattr_setflags(void *attributes, short flags)');
const attributesSigdefault = libcFunction('int posix_spawnattr_setsigdefault(void *attributes, void *set)');
const attributesSigmask = libcFunction('int posix_spawnattr_setsigmask(void *attributes, void *set)');
const fcntl = libcFunction('int fcntl(int fd, int command, int argument)');

/** The absolute path of an executable: `name` itself when it has a slash, else searched in PATH. */
export function findProgram(name: string): string | undefined {
  if (name.includes('/')) return isProgram(name) ? name : undefined;
  for (const directory of (process.env.PATH ?? DEFAULT_PATH).split(delimiter)) {
    if (!directory.startsWith('/')) continue; // a relative entry would make the result depend on the working directory
    const path = join(directory, name);
    if (isProgram(path)) return path;
  }
  return undefined;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false; // not there, or not for us: the same to the caller
  }
}

/**
 * Starts a program and returns at once. Throws PROGRAM_MISSING when the binary
 * does not exist and PROGRAM_FAILED when it cannot be started; no descriptor
 * stays open then.
 */
export function launch(options: SpawnOptions): Launched {
  const [name] = options.argv;
  if (name === undefined) throw new RuntimeError('internal', 'PROGRAM_FAILED', 'a program was to be started without a name');
  const path = findProgram(name);
  if (path === undefined) {
    const where = name.includes('/')
      ? 'there is no executable file of that path'
      : `no directory of PATH (${process.env.PATH ?? DEFAULT_PATH}) has it`;
    throw new RuntimeError('unavailable', 'PROGRAM_MISSING', `cannot start ${name}: ${where}; install it`);
  }
  const environment = options.env ?? { PATH: process.env.PATH ?? DEFAULT_PATH };
  const strings = { argv: [...options.argv], envp: Object.entries(environment).map(([key, value]) => `${key}=${value}`) };
  for (const text of [...strings.argv, ...strings.envp]) {
    if (text.includes('\0'))
      throw new RuntimeError('invalid', 'INVALID_ARGUMENT', `cannot start ${name}: an argument or variable contains a NUL byte`);
  }
  return startWith(options, path, strings);
}

function startWith(options: SpawnOptions, path: string, strings: { argv: string[]; envp: string[] }): Launched {
  using parentEnds = new DisposableStack();
  using childEnds = new DisposableStack(); // closed here in any case
  const actions = Buffer.alloc(OPAQUE_BYTES);
  must(actionsInit(actions), 'posix_spawn_file_actions_init');
  childEnds.defer(() => actionsDestroy(actions));
  if (options.cwd !== undefined) must(actionsChdir(actions, options.cwd), 'posix_spawn_file_actions_addchdir_np');
  const pipes = addDescriptors(actions, options, { parentEnds, childEnds });

  const pid: [number] = [0];
  const attributes = options.newSession === false ? groupAttributes : sessionAttributes;
  const errno = posixSpawn(pid, path, actions, attributes, [...strings.argv, null], [...strings.envp, null]);
  if (errno !== 0) throw startError(new SysError(errno, 'posix_spawn', path), path, options.cwd);
  parentEnds.move();
  return { pid: pid[0], pipes };
}

function startError(cause: SysError, path: string, cwd: string | undefined): RuntimeError {
  const directory = cwd !== undefined && !existsSync(cwd) ? `; its working directory ${cwd} does not exist` : '';
  const message = `cannot start ${path}: ${cause.code}${directory}; check that it is a program for this machine and can be run`;
  return new RuntimeError('internal', 'PROGRAM_FAILED', message, { cause });
}

interface Ends {
  readonly parentEnds: DisposableStack;
  readonly childEnds: DisposableStack;
}

/** Adds the actions that give the child its descriptors and close the rest; returns our ends of the pipes. */
function addDescriptors(actions: Buffer, options: SpawnOptions, ends: Ends): Launched['pipes'] {
  const wanted = new Map<number, number>(); // child number → our descriptor
  const pipes: [number | undefined, number | undefined, number | undefined] = [undefined, undefined, undefined];
  for (const { child, parent } of options.extraFds ?? []) wanted.set(child, parent);
  for (const [fd, kind] of [options.stdin, options.stdout, options.stderr].entries()) {
    if (wanted.has(fd)) continue; // given as an extra descriptor
    if (kind === 'inherit') wanted.set(fd, fd);
    else if (kind === 'pipe') {
      const { ours, theirs } = openPipe(fd === 0, ends);
      pipes[fd] = ours;
      wanted.set(fd, theirs);
    } else must(actionsOpen(actions, fd, '/dev/null', constants.O_RDWR, 0), 'posix_spawn_file_actions_addopen');
  }
  const beyond = Math.max(STANDARD_FDS - 1, ...wanted.keys()) + 1;
  for (const [target, source] of wanted) {
    // A descriptor whose number is itself a target could be overwritten before its turn: it is moved out of the way.
    const from = source < beyond && source !== target ? moveAside(source, beyond, ends.childEnds) : source;
    must(actionsDup2(actions, from, target), 'posix_spawn_file_actions_adddup2');
  }
  must(actionsCloseFrom(actions, beyond), 'posix_spawn_file_actions_addclosefrom_np');
  return pipes;
}

function openPipe(childReads: boolean, ends: Ends): { ours: number; theirs: number } {
  const { readEnd, writeEnd } = makePipe();
  const [ours, theirs] = childReads ? [writeEnd, readEnd] : [readEnd, writeEnd];
  ends.parentEnds.defer(() => closeFd(ours));
  ends.childEnds.defer(() => closeFd(theirs));
  return { ours, theirs };
}

function moveAside(fd: number, least: number, owner: DisposableStack): number {
  const copy = check(fcntl(fd, F_DUPFD_CLOEXEC, least), 'fcntl', `F_DUPFD_CLOEXEC of descriptor ${fd}`);
  owner.defer(() => closeFd(copy));
  return copy;
}

/** The posix_spawn family returns its errno. */
function must(errno: number, syscall: string): void {
  if (errno !== 0) throw new SysError(errno, syscall);
}

function makeAttributes(flag: number): Buffer {
  const attributes = Buffer.alloc(OPAQUE_BYTES);
  const set = Buffer.alloc(OPAQUE_BYTES);
  must(attributesInit(attributes), 'posix_spawnattr_init');
  must(attributesFlags(attributes, flag | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK), 'posix_spawnattr_setflags');
  must(attributesSigmask(attributes, set), 'posix_spawnattr_setsigmask'); // none
  // All, by hand: sigfillset leaves out glibc's own two (32, 33), and posix_spawn would then set those to "ignored".
  set.fill(0xff, 0, SIGNAL_SET_BYTES);
  must(attributesSigdefault(attributes, set), 'posix_spawnattr_setsigdefault');
  return attributes;
}

// They hold no pointers and never change, so two serve every start.
const sessionAttributes = makeAttributes(POSIX_SPAWN_SETSID);
const groupAttributes = makeAttributes(POSIX_SPAWN_SETPGROUP);
