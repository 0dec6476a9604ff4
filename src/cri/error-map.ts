/**
 * The one place where a failure becomes a gRPC status. The kind decides the
 * code; two calls are special because kubelet matches their message by prefix
 * and drops the code only when it is Unknown (cri-api pkg/errors, kubelet
 * image_manager.go). The reason travels in the trailer `berth-reason`.
 */
import { Metadata, status } from '@grpc/grpc-js';
import type { ErrorKind, Reason, RuntimeError } from '../errors/index.ts';

/** Trailer that carries the stable reason of a failure. */
export const REASON_TRAILER = 'berth-reason';

/** Characters of a message that are sent: a status travels in HTTP/2 headers, and Go clients refuse large ones. */
const MESSAGE_LIMIT = 4096;

const CODES = {
  invalid: status.INVALID_ARGUMENT,
  'not-found': status.NOT_FOUND,
  'already-exists': status.ALREADY_EXISTS,
  precondition: status.FAILED_PRECONDITION,
  unavailable: status.UNAVAILABLE,
  deadline: status.DEADLINE_EXCEEDED,
  cancelled: status.CANCELLED,
  unimplemented: status.UNIMPLEMENTED,
  exhausted: status.RESOURCE_EXHAUSTED,
  denied: status.PERMISSION_DENIED,
  unknown: status.UNKNOWN,
  internal: status.INTERNAL,
} as const satisfies Record<ErrorKind, status>;

/** Calls whose errors kubelet matches by prefix. */
const MATCHED_METHODS: ReadonlySet<string> = new Set(['PullImage', 'CreateContainer']);

/** Names of the CRI (cri-api pkg/errors/errors.go) for reasons of ours. */
const MATCHED_PREFIXES: Partial<Record<Reason, string>> = { REGISTRY_UNAVAILABLE: 'RegistryUnavailable' };

/** A gRPC status ready to be sent. */
export interface CallStatus {
  code: status;
  details: string;
  metadata: Metadata;
}

/** The status of a failed call of `method`. */
export function statusOf(method: string, error: RuntimeError): CallStatus {
  const metadata = new Metadata();
  metadata.set(REASON_TRAILER, error.reason);
  const prefix = MATCHED_METHODS.has(method) ? MATCHED_PREFIXES[error.reason] : undefined;
  const code = prefix === undefined ? CODES[error.kind] : status.UNKNOWN;
  const message = prefix === undefined || error.message.startsWith(prefix) ? error.message : `${prefix}: ${error.message}`;
  return { code, details: sendable(message), metadata };
}

/** Name of a code as logs and metrics show it, e.g. NOT_FOUND. */
export function codeName(code: status): string {
  return status[code] ?? String(code);
}

/** Bounded, and free of the lone surrogates that make encodeURI (inside grpc-js) throw. */
function sendable(message: string): string {
  const bounded = message.length > MESSAGE_LIMIT ? `${message.slice(0, MESSAGE_LIMIT)}…` : message;
  return bounded.toWellFormed();
}
