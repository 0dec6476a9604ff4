/**
 * File names are bytes, not text: a tar may hold names that are not UTF-8,
 * and what is unpacked must have the very same ones. They are carried as
 * strings with one character (0..255) for each byte, so that they can be
 * compared, split and used as keys; sys/at.ts takes them in this form.
 */
import { isRuntimeError, RuntimeError } from '../errors/index.ts';

declare const brand: unique symbol;
/** A path or name, one character a byte. */
export type ByteString = string & { readonly [brand]: 'ByteString' };

/** The bytes as a ByteString. */
export const byteString = (bytes: Buffer): ByteString => bytes.toString('latin1') as ByteString;

/** The text for a message: as UTF-8 where it is, control characters escaped, bounded. */
export function printable(name: string): string {
  return JSON.stringify(Buffer.from(name, 'latin1').toString('utf8').slice(0, 256));
}

const LAYER_ERROR_PREFIX = 'the layer cannot be unpacked: ';

/** IMAGE_LAYER with `why`. */
export function layerError(why: string, cause?: unknown): RuntimeError {
  return new RuntimeError('unknown', 'IMAGE_LAYER', `${LAYER_ERROR_PREFIX}${why}`, cause === undefined ? {} : { cause });
}

/** The `why` of a layerError, for a tar that is no layer; undefined for any other error. */
export function tarProblem(error: unknown): string | undefined {
  return isRuntimeError(error, 'IMAGE_LAYER') ? error.message.replace(LAYER_ERROR_PREFIX, '') : undefined;
}

/** NAME_MAX and PATH_MAX of Linux. */
const NAME_LIMIT_BYTES = 255;
export const PATH_LIMIT_BYTES = 4095;

/**
 * The components of a member's path below the layer's root; [] is the root
 * itself. A leading slash means the layer's root, as every reader has it;
 * `..` is refused: no builder writes it, and each reader resolves it in its
 * own way.
 */
export function splitPath(path: string): ByteString[] {
  if (path.length > PATH_LIMIT_BYTES) throw layerError(`the name ${printable(path)}… is longer than ${PATH_LIMIT_BYTES} bytes`);
  if (path.includes('\0')) throw layerError(`the name ${printable(path)} contains a NUL byte`);
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') throw layerError(`the name ${printable(path)} contains “..”`);
    if (part.length > NAME_LIMIT_BYTES) throw layerError(`a part of the name ${printable(path)} is longer than ${NAME_LIMIT_BYTES} bytes`);
    parts.push(part);
  }
  return parts as ByteString[];
}
