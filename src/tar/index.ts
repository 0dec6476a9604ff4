/** Tar archives, read as a stream: headers, extended headers, members. */
export { type ByteString, layerError, printable, splitPath, tarProblem } from './bytes.ts';
export { type Member, type TarSink, TarWalker } from './walker.ts';
