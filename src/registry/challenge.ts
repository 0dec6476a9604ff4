/**
 * WWW-Authenticate headers (RFC 9110, section 11): a list of challenges,
 * each a scheme with parameters, both lists separated by commas. Pure and
 * forgiving: what cannot be read ends the list, since a server's odd header
 * must not decide more than how we log in.
 */

/** One way the server offers to log in. */
export interface Challenge {
  /** In lower case. */
  scheme: string;
  /** By name in lower case. */
  parameters: Record<string, string>;
}

/** Bound of a header looked at, in characters; servers send a few hundred. */
const HEADER_LIMIT = 8192;

const SCHEME = /[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?=[\s,]|$)/y;
const PARAMETER = /[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))/y;
/** RFC 7235 token68: a scheme's single opaque value, as Negotiate has. */
const TOKEN68 = /\s+[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))/y;

/** The challenges of one or several header values, in order. */
export function parseChallenges(header: string | readonly string[] | undefined): Challenge[] {
  if (header === undefined) return [];
  const text = (typeof header === 'string' ? header : header.join(', ')).slice(0, HEADER_LIMIT);
  const challenges: Challenge[] = [];
  let position = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position;
    const match = pattern.exec(text);
    if (match !== null) position = pattern.lastIndex;
    return match;
  };
  while (position < text.length) {
    const current = challenges.at(-1);
    const parameter = current === undefined ? null : take(PARAMETER);
    if (current !== undefined && parameter !== null) {
      const [, name = '', quoted, bare] = parameter;
      current.parameters[name.toLowerCase()] ??= quoted?.replace(/\\(.)/g, '$1') ?? bare ?? '';
      continue;
    }
    const scheme = take(SCHEME)?.[1];
    if (scheme === undefined) break;
    // no prototype: a parameter called `constructor` is one like any other
    challenges.push({ scheme: scheme.toLowerCase(), parameters: Object.create(null) });
    take(TOKEN68);
  }
  return challenges;
}
