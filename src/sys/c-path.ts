/**
 * Names as the kernel takes them: bytes with a NUL behind. They are carried
 * as strings of one character (0..255) a byte, because a name that is not
 * UTF-8 must reach the kernel as it is. Invariant: a call that takes two
 * names uses both buffers; what is in one is gone with the next call.
 */

/** PATH_MAX with room for the prefix of a descriptor's path; longer names are refused by the kernel anyway. */
const PATH_BYTES = 8192;
const first = Buffer.alloc(PATH_BYTES);
const second = Buffer.alloc(PATH_BYTES);

/** The bytes of `path` with a NUL behind, in a buffer that the next call reuses. */
export function cPath(path: string): Buffer {
  return written(path, first);
}

/** The same in another buffer, for calls that take two names. */
export function secondCPath(path: string): Buffer {
  return written(path, second);
}

function written(path: string, into: Buffer): Buffer {
  const length = into.write(path, 0, PATH_BYTES - 1, 'latin1');
  into[length] = 0;
  return into;
}
