/** What a file is compressed with, by its first bytes; names and media types are often wrong. Pure. */

/** Bytes to look at. */
export const MAGIC_BYTES = 6;

/** Compressions that are told apart; only gzip and zstd are read. */
export type Compression = 'none' | 'gzip' | 'zstd' | 'xz' | 'bzip2';

const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]], // RFC 1952
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]], // RFC 8878
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
];

/** The compression of what begins with `head`. */
export function compressionOf(head: Uint8Array): Compression {
  return MAGICS.find(([, magic]) => magic.every((byte, at) => head[at] === byte))?.[0] ?? 'none';
}
