/**
 * Locks between processes (flock(2)): the kernel frees them with the process
 * that holds them, whatever ended it, so there are no stale ones. The holder's
 * pid is written into the file for whom it keeps out; it says nothing without
 * the lock.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { errnoName, lastErrno, libcFunction, SysError } from './libc.ts';

// flock(2)
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_FILE_MODE = 0o600;

const flock = libcFunction('int flock(int fd, int operation)');

/** A lock held until it is disposed of, or the pid (as text, '' when unknown) of the process that holds it. */
export type FileLock = Disposable | { readonly heldBy: string };

/** Tries to lock the file `path`, made when absent; never waits. Its directory must exist. */
export function lockFile(path: string): FileLock {
  using undo = new DisposableStack();
  const fd = openSync(path, 'a+', LOCK_FILE_MODE); // close-on-exec: no child goes on holding it
  undo.defer(() => closeSync(fd));
  if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
    const errno = lastErrno();
    if (errnoName(errno) !== 'EAGAIN') throw new SysError(errno, 'flock', path);
    return { heldBy: readFileSync(path, 'utf8').trim() };
  }
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`);
  return undo.move();
}
