/**
 * Loading an archive: its images come one after the other, each by the way a
 * pull takes, so that the same things are checked and shared. An image is
 * there whole or not at all; a broken one ends the load and leaves those
 * before it.
 */
import { type ArchivedImage, openArchive, type Scratch } from '../archive/index.ts';
import { isRuntimeError, messageOf, RuntimeError } from '../errors/index.ts';
import { formatReference, type Reference } from '../registry/index.ts';
import { nameImages } from './archive-names.ts';
import type { Arrival } from './arrival.ts';
import type { ProgressBoard } from './progress.ts';
import type { LoadedImage, LoadRequest } from './types.ts';

/** What loading works with. */
export interface LoadParts {
  scratch: Scratch;
  board: ProgressBoard;
  nowNs: () => bigint;
  /** Brings one image as a pull does. */
  bring: (arrival: Arrival) => Promise<LoadedImage>;
}

/** Names in an error that lists what was loaded before. */
const NAMES_SHOWN = 5;

/** Loads all images of an archive. */
export async function loadArchive(parts: LoadParts, request: LoadRequest, signal: AbortSignal): Promise<LoadedImage[]> {
  const { path, pin } = request;
  await using archive = await reading(parts, path, () => openArchive({ path, scratch: parts.scratch, signal }));
  const loaded: LoadedImage[] = [];
  const named = nameImages(archive.images, request.name, path);
  for (const [at, { image, references }] of named.entries()) {
    const count = `image ${at + 1} of ${named.length}`;
    try {
      loaded.push(await parts.bring(arrivalOf(image, { path, references, count, keep: pin })));
    } catch (error) {
      throw signal.aborted ? error : afterOthers(error, loaded);
    }
  }
  return loaded;
}

/** Opening an archive shows under its path: a compressed one takes a while. */
async function reading<T>({ board, nowNs }: LoadParts, path: string, open: () => Promise<T>): Promise<T> {
  const progress = board.begin(path, nowNs());
  try {
    const opened = await open();
    progress.state = 'done';
    return opened;
  } catch (error) {
    Object.assign(progress, { state: 'failed', error: messageOf(error) });
    throw error;
  } finally {
    board.end(progress, nowNs());
  }
}

function arrivalOf(
  image: ArchivedImage,
  { path, references, count, keep }: { path: string; references: readonly Reference[]; count: string; keep: boolean },
): Arrival {
  const [first] = references;
  const name = first === undefined ? count : formatReference(first);
  return {
    open: () => image.source,
    origin: path,
    registry: 'archive',
    label: `${path}: ${name}`,
    what: `${first === undefined ? '' : 'image '}${name} of ${path}`,
    references,
    authentic: image.authentic,
    keep,
  };
}

/** The error of a broken image, saying what stayed. */
function afterOthers(error: unknown, loaded: readonly LoadedImage[]): unknown {
  if (loaded.length === 0 || !isRuntimeError(error)) return error;
  const names = loaded.slice(0, NAMES_SHOWN).map((image) => image.names[0] ?? image.id);
  const more = loaded.length > NAMES_SHOWN ? ` and ${loaded.length - NAMES_SHOWN} more` : '';
  const message = `${error.message} (before it these were loaded and stay: ${names.join(', ')}${more})`;
  return new RuntimeError(error.kind, error.reason, message, { cause: error });
}
