/** Where a sparse file has data, and where only holes (lseek(2) SEEK_DATA, SEEK_HOLE). */
import { check, errnoNumber, lastErrno, libcFunction, SysError } from './libc.ts';

const SEEK_DATA = 3;
const SEEK_HOLE = 4;

const lseekCall = libcFunction('long lseek(int fd, long offset, int whence)');

/** Yields the parts of an open file that are no holes, in order; on a file system without holes the whole file. Throws SysError. */
export function* dataParts(fd: number): Generator<{ offset: number; length: number }> {
  for (let end = 0; ; ) {
    const offset = lseekCall(fd, end, SEEK_DATA);
    if (offset < 0) {
      const errno = lastErrno();
      if (errno === errnoNumber('ENXIO')) return; // nothing but a hole up to the end
      throw new SysError(errno, 'lseek');
    }
    end = check(lseekCall(fd, offset, SEEK_HOLE), 'lseek');
    yield { offset, length: end - offset };
  }
}
