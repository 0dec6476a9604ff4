/** Tar archives, read as a stream: headers, extended headers, members. */
export { type ByteString, layerError, PATH_LIMIT_BYTES, printable, splitPath } from './bytes.ts';
export { type Member, type TarSink, TarWalker } from './walker.ts';
