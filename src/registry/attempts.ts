/**
 * What every endpoint said when none could serve, folded into one error. The
 * registry's own host has the last word on what class of failure it is; the
 * message lists all, in the order tried.
 */
import { type ErrorKind, type Reason, RuntimeError } from '../errors/index.ts';
import type { Endpoint } from './endpoints.ts';

/** Why one endpoint did not serve. */
export interface Attempt {
  endpoint: Endpoint;
  outcome: 'not-found' | 'unauthorized' | 'unavailable';
  /** Its answer in words, without secrets. */
  said: string;
}

const CLASSES: Readonly<Record<Attempt['outcome'], { kind: ErrorKind; reason: Reason; words: string; action: string }>> = {
  'not-found': { kind: 'not-found', reason: 'IMAGE_NOT_IN_REGISTRY', words: 'not found', action: 'check the name and the tag' },
  unauthorized: {
    kind: 'denied',
    reason: 'IMAGE_UNAUTHORIZED',
    words: 'access refused, or it does not exist',
    action: 'check the name and the image pull secret',
  },
  unavailable: {
    kind: 'unknown',
    reason: 'REGISTRY_UNAVAILABLE',
    words: 'the registry cannot be reached or fails',
    action: 'check the endpoints listed',
  },
};

/** The error of a request that no endpoint served; `what` names the image or blob. */
export function attemptsError(what: string, attempts: readonly Attempt[]): RuntimeError {
  const deciding = attempts.findLast((attempt) => attempt.endpoint.own) ?? attempts.at(-1);
  const { kind, reason, words, action } = CLASSES[deciding?.outcome ?? 'unavailable'];
  const said = attempts.map((attempt) => `${attempt.endpoint.base}: ${attempt.said}`).join('; ');
  return new RuntimeError(kind, reason, `${what}: ${words} (${said}); ${action}`, {
    detail: { endpoints: attempts.map((attempt) => attempt.endpoint.base) },
  });
}
