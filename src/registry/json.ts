/**
 * JSON documents of strangers (manifests, indexes, configs), from bytes to an
 * object. Pure. Nesting is bounded before anything is built: the engine takes
 * seconds for some millions of brackets, in which nothing else would run.
 */
import { messageOf, oneLine } from '../errors/index.ts';

/** Levels of a document; those of real images are under 10. */
const DEPTH_LIMIT = 100;
const [QUOTE, BACKSLASH, BRACKET, BRACE, BRACKET_END, BRACE_END] = Buffer.from('"\\[{]}');

/** The object that `bytes` are; throws what `fail` makes of the reason when they are none. */
export function parseJsonObject(bytes: Uint8Array, fail: (why: string) => Error): Record<string, unknown> {
  if (isTooDeep(bytes)) throw fail(`it nests deeper than ${DEPTH_LIMIT} levels`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw fail(`it is not JSON (${oneLine(messageOf(error), 100)})`);
  }
  if (!isObject(value)) throw fail('it is not a JSON object');
  return value;
}

/** True for an object that is no list. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Counts brackets outside of texts; what is no JSON is counted somehow. */
function isTooDeep(bytes: Uint8Array): boolean {
  let depth = 0;
  let isText = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (isText && byte === BACKSLASH) at += 1;
    else if (byte === QUOTE) isText = !isText;
    else if (isText) continue;
    else if (byte === BRACKET || byte === BRACE) depth += 1;
    else if (byte === BRACKET_END || byte === BRACE_END) depth -= 1;
    if (depth > DEPTH_LIMIT) return true;
  }
  return false;
}
