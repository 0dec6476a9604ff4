/** What is wrong with an archive: the file, the member in it, and why. */
import { RuntimeError } from '../errors/index.ts';
import { splitPath, tarProblem } from '../tar/index.ts';

/** IMAGE_ARCHIVE about a file or directory as a whole; `advice` when making it again is not the way out. */
export function archiveError(path: string, why: string, options: { cause?: unknown; advice?: string } = {}): RuntimeError {
  const { cause, advice = 'make or copy it again' } = options;
  const message = `the image archive ${path} cannot be used: ${why}; ${advice}`;
  return new RuntimeError('invalid', 'IMAGE_ARCHIVE', message, cause === undefined ? {} : { cause });
}

/** IMAGE_ARCHIVE about one member of it. */
export function memberError(place: { path: string; member: string }, why: string, cause?: unknown): RuntimeError {
  return archiveError(place.path, `its member ${quoted(place.member)} ${why}`, { cause });
}

/** A name of the archive's for a message, bounded. */
export const quoted = (name: string): string => JSON.stringify(name.slice(0, 256));

/** `name` without what means nothing in it (`./x`, `x//y`). Throws IMAGE_ARCHIVE for one that leads out of the archive. */
export function memberName(path: string, name: string): string {
  try {
    return splitPath(name).join('/');
  } catch (error) {
    const problem = tarProblem(error);
    throw problem === undefined ? error : archiveError(path, problem, { cause: error });
  }
}
