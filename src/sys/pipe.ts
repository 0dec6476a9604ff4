/**
 * Plain pipes for protocols over extra descriptors, which Node's own API
 * cannot make. Invariant: both ends are close-on-exec, so only `extraFds` of
 * spawn() hands one to a child.
 */
import { check, libcFunction } from './libc.ts';

/** open(2) O_CLOEXEC, which Node does not name. */
const O_CLOEXEC = 0o2000000;

const pipe2 = libcFunction('int pipe2(_Out_ int *fds, int flags)');

/** The two ends of a pipe; the caller closes both. Throws SysError when descriptors run out. */
export function makePipe(): { readEnd: number; writeEnd: number } {
  const fds: [number, number] = [-1, -1];
  check(pipe2(fds, O_CLOEXEC), 'pipe2');
  return { readEnd: fds[0], writeEnd: fds[1] };
}
