/**
 * The one door to the C library: koffi prototypes and the reading of errno.
 * Everything else in sys/ declares its calls with `libcFunction` and passes
 * results through `check`. Invariant: nothing runs between a call and the
 * reading of its errno, so `check(call(...), 'call')` is the only pattern.
 */
import koffi from 'koffi';

const LIBC = koffi.load('libc.so.6');

const ERRNO_NAMES = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));
// Two names share these numbers; the ones that the kernel's documentation uses win.
ERRNO_NAMES.set(koffi.os.errno.EAGAIN ?? 11, 'EAGAIN');
ERRNO_NAMES.set(koffi.os.errno.EOPNOTSUPP ?? 95, 'EOPNOTSUPP');
ERRNO_NAMES.set(koffi.os.errno.EDEADLK ?? 35, 'EDEADLK');

/** A failed system call: `code` is the errno's name, as in Node's own errors. */
export class SysError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(errno: number, syscall: string, what?: string) {
    const code = errnoName(errno);
    super(`${syscall}${what === undefined ? '' : ` ${what}`}: ${code}`);
    this.name = 'SysError';
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** A C function: call it on this thread, or on libuv's pool with `async`. */
export interface LibcFunction {
  (...args: unknown[]): number;
  /** Runs the call on a pool thread; its errno cannot be read afterwards. */
  async(...args: unknown[]): Promise<number>;
}

/** Declares a function of libc by its C prototype (koffi syntax; `ssize_t` is unknown, write `long`). */
export function libcFunction(signature: string): LibcFunction {
  const native = LIBC.func(signature);
  // `long` comes back as a BigInt when it is large: all results here fit a number.
  const call = (...args: unknown[]): number => Number(native(...args));
  const async = (...args: unknown[]): Promise<number> => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    native.async(...args, (error: unknown, result: unknown) => {
      if (error === null || error === undefined) resolve(Number(result));
      else reject(error);
    });
    return promise;
  };
  return Object.assign(call, { async });
}

/** Returns `result`, or throws the SysError of the call just made when it is negative. `what` names the object. */
export function check(result: number, syscall: string, what?: string): number {
  if (result < 0) throw new SysError(koffi.errno(), syscall, what);
  return result;
}

/** The errno of the libc call just made on this thread; call it before anything else. */
export function lastErrno(): number {
  return koffi.errno();
}

/** The symbolic name of an errno number, `E123` for one without a name. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? `E${errno}`;
}

/** The number of an errno name (`EINTR`); throws for a name this platform lacks. */
export function errnoNumber(name: string): number {
  const number = koffi.os.errno[name];
  if (number === undefined) throw new TypeError(`no errno is named ${name} on this platform`);
  return number;
}

const closeCall = libcFunction('int close(int fd)');

/** Closes a descriptor that a libc call opened. An error is not reported: on Linux the number is free after any outcome. */
export function closeFd(fd: number): void {
  closeCall(fd);
}
