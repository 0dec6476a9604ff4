/** Tar archives: read as a stream, member by member, and headers written. */
export { type ByteString, layerError, PATH_LIMIT_BYTES, printable, splitPath, tarProblem } from './bytes.ts';
export { type Member, type TarSink, TarWalker } from './walker.ts';
export { endOfArchive, memberHeader, padding, plainFile } from './write.ts';
