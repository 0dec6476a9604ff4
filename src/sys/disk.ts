/**
 * Durability of whole file systems. Files are published by rename first and
 * become durable in the background: one syncfs covers all of them, where an
 * fsync a file would cost seconds for an image.
 */
import { open } from 'node:fs/promises';
import { errnoNumber, libcFunction, SysError } from './libc.ts';

const syncfsCall = libcFunction('int syncfs(int fd)');

/** Writes everything cached of the file system that holds `path` to its disk; runs on libuv's pool. Throws SysError EIO. */
export async function syncfs(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    const result = await syncfsCall.async(handle.fd);
    // The errno stays on the pool's thread; whatever it was, data may not have reached the disk.
    if (result < 0) throw new SysError(errnoNumber('EIO'), 'syncfs', path);
  } finally {
    await handle.close();
  }
}
