/** Swapping two names in one step: whoever looks sees the one or the other, never neither. */
import { check, libcFunction } from './libc.ts';

const AT_FDCWD = -100;
/** renameat2(2), <linux/fs.h>. */
const RENAME_EXCHANGE = 2;

const renameat2Call = libcFunction('int renameat2(int olddirfd, const char *oldpath, int newdirfd, const char *newpath, uint flags)');

/** Exchanges what two names of one file system stand for. Throws SysError. */
export function exchangePaths(one: string, other: string): void {
  check(renameat2Call(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE), 'renameat2', other);
}
