/** Archives of images: OCI layouts and what `docker save` writes, read and written. */
export { openArchive } from './open.ts';
export { brokenCompression, spool } from './spool.ts';
export type { Archive, ArchivedImage } from './types.ts';
