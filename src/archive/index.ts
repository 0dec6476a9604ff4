/** Archives of images: OCI layouts and what `docker save` writes, read and written. */
export { compressionOf, MAGIC_BYTES } from './compression.ts';
export { openArchive } from './open.ts';
export { Scratch, type SpooledFile } from './scratch.ts';
export { brokenCompression } from './spool.ts';
export type { OpenedMember } from './tar-writer.ts';
export type { Archive, ArchivedImage } from './types.ts';
export { type OutgoingLayer, type OutgoingOciImage, writeDockerArchive, writeOciArchive } from './write.ts';
