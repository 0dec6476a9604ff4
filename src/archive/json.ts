/**
 * The JSON members of an archive. Nothing of them is believed before it was
 * looked at, and nothing of their text shows in an error: the path is a
 * caller's choice, and what it leads to may be any file of the node's.
 */
import { archiveError, memberError } from './error.ts';
import { type Members, readMember } from './members.ts';

/** Bytes of a JSON member: parsing this much takes a few milliseconds. */
const JSON_LIMIT_BYTES = 1024 * 1024;

/** The parsed member, undefined when there is none. Throws IMAGE_ARCHIVE. */
export async function readJson(members: Members, member: string): Promise<unknown> {
  const bytes = await readMember(members, member, JSON_LIMIT_BYTES);
  return bytes === undefined ? undefined : parseJson(bytes, { path: members.path, member });
}

/** The parsed bytes. Throws IMAGE_ARCHIVE. */
export function parseJson(bytes: Uint8Array, place: { path: string; member: string }): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw memberError(place, 'is not JSON');
  }
}

/** True for an object that is no list. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A list of texts, absent counting as empty; undefined for anything else. */
export function textsOf(value: unknown, limit: number): string[] | undefined {
  const list = value ?? [];
  return Array.isArray(list) && list.length <= limit && list.every((item) => typeof item === 'string') ? list : undefined;
}

/** Names of an image in an archive; real ones have a handful. */
export const NAMES_LIMIT = 1000;
/** Images in an archive. */
const IMAGES_LIMIT = 1000;

/** `value` as the list of an archive's images. */
export function imagesOf(value: unknown, place: { path: string; member: string }): unknown[] {
  if (!Array.isArray(value)) throw memberError(place, 'has no list of images');
  if (value.length > IMAGES_LIMIT) throw memberError(place, `lists more than ${IMAGES_LIMIT} images`);
  if (value.length === 0) throw archiveError(place.path, 'it holds no image');
  return value;
}
