/** Scopes and answers of token servers (distribution-spec "token authentication"). Pure; a token's bytes never get into a message. */
import { ConnectionError } from './connection-error.ts';

/** A token for the registry. */
export interface Token {
  /** Secret. */
  readonly value: string;
  readonly lifeMs: number;
}

/** What a server that says nothing means. */
const DEFAULT_LIFE_SECONDS = 60;
/** Longer lives are not counted on: a session is a pull. */
const LIFE_LIMIT_SECONDS = 24 * 3600;

/** The scope of a challenge; when we are to push, with that asked for as well, so that one token does for all requests. */
export function actionsFor(scope: string, actions: 'pull' | 'pull,push'): string {
  const parts = scope.split(' ').filter((part) => part !== '');
  return parts.map((part) => (actions === 'pull' ? part : part.replace(/^(repository:.*):(?:pull|push)$/, `$1:${actions}`))).join(' ');
}

/** Reads the answer of the token server at `host`; throws ConnectionError when it has no token. */
export function parseToken(bytes: Uint8Array, host: string): Token {
  const answer = parseObject(bytes);
  const value = [answer.token, answer.access_token].find((each) => typeof each === 'string' && each !== '');
  // A token is sent as a header: anything else in it is none.
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value))
    throw new ConnectionError(new Error(`its token server ${host} sent no token`));
  const { expires_in: life } = answer;
  const seconds = typeof life === 'number' && life > 0 ? life : DEFAULT_LIFE_SECONDS;
  return { value, lifeMs: Math.min(seconds, LIFE_LIMIT_SECONDS) * 1000 };
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  try {
    const answer: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof answer === 'object' && answer !== null ? { ...answer } : {};
  } catch {
    return {}; // not JSON: the caller says so, without the bytes, which may hold a secret
  }
}
