/**
 * What every endpoint said when none could serve, folded into one error. The
 * registry's own host has the last word on what class of failure it is; the
 * message lists all, in the order tried.
 */
import { type ErrorKind, type Reason, RuntimeError } from '../errors/index.ts';
import type { Endpoint } from './endpoints.ts';
import type { Failure } from './hosts-file.ts';

/** Why one endpoint did not serve. */
export interface Refusal {
  readonly failure: Failure;
  /** Its answer in words, without secrets. */
  readonly said: string;
  /** Asking it again may help. */
  readonly transient: boolean;
  /** It named the time to do so. */
  readonly retryAfterMs?: number;
}

/** A refusal and whose it is. */
export interface Attempt {
  readonly endpoint: Pick<Endpoint, 'url' | 'own' | 'source'>;
  /** Of the proxy on the way, undefined for none. */
  readonly proxy: string | undefined;
  readonly refusal: Refusal;
}

const NOT_FOUND: Class = { kind: 'not-found', reason: 'IMAGE_NOT_IN_REGISTRY', words: 'not found', action: 'check the name and the tag' };
const UNAUTHORIZED: Class = {
  kind: 'denied',
  reason: 'IMAGE_UNAUTHORIZED',
  words: 'access refused, or it does not exist',
  action: 'check the name and the image pull secret',
};
const UNAVAILABLE: Class = {
  kind: 'unknown',
  reason: 'REGISTRY_UNAVAILABLE',
  words: 'the registry cannot be reached or fails',
  action: 'check the endpoints listed',
};

interface Class {
  kind: ErrorKind;
  reason: Reason;
  words: string;
  action: string;
}

const CLASSES: Readonly<Record<Failure, Class>> = { '404': NOT_FOUND, auth: UNAUTHORIZED, connect: UNAVAILABLE, '5xx': UNAVAILABLE };

/** The error of a request that no endpoint served; `what` names the image or blob. */
export function attemptsError(what: string, attempts: readonly Attempt[]): RuntimeError {
  const deciding = attempts.findLast((attempt) => attempt.endpoint.own) ?? attempts.at(-1);
  const { kind, reason, words, action } = CLASSES[deciding?.refusal.failure ?? 'connect'];
  const said = attempts.map(({ endpoint, proxy, refusal }) => {
    const through = proxy === undefined ? '' : ` through the proxy ${proxy}`;
    return `${endpoint.url}${through}: ${refusal.said}`;
  });
  const sources = new Set(attempts.map(({ endpoint }) => endpoint.source).filter((source) => source !== 'default'));
  const named = sources.size === 0 ? '' : `; endpoints of ${[...sources].join(', ')}`;
  return new RuntimeError(kind, reason, `${what}: ${words} (${said.join('; ')}${named}); ${action}`, {
    detail: { endpoints: attempts.map(({ endpoint }) => endpoint.url) },
  });
}
