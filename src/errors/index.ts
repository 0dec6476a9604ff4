/**
 * The one error class of the runtime. An error is data: a closed `kind` that
 * decides the gRPC code (mapped in cri/ only), a stable `reason` from the
 * table in reasons.ts, and a message for the person who must act on it.
 *
 * A message says what was tried, on which object, what came back and what to
 * do. It carries no random ids and no times: kubelet shows it as a pod event
 * and folds equal ones.
 */
import { REASONS, type Reason } from './reasons.ts';

export { REASONS, type Reason } from './reasons.ts';

/** What class of failure it is; each maps to exactly one gRPC status code. */
export type ErrorKind =
  | 'invalid' // InvalidArgument
  | 'not-found' // NotFound
  | 'already-exists' // AlreadyExists
  | 'precondition' // FailedPrecondition
  | 'unavailable' // Unavailable
  | 'deadline' // DeadlineExceeded
  | 'cancelled' // Cancelled
  | 'unimplemented' // Unimplemented
  | 'exhausted' // ResourceExhausted
  | 'denied' // PermissionDenied
  | 'unknown' // Unknown: kubelet then matches the message's prefix
  | 'internal'; // Internal

/** Optional facts of an error. */
export interface RuntimeErrorOptions {
  /** The error that led to this one. */
  cause?: unknown;
  /** Structured facts for the log and for machines; never secrets. */
  detail?: Record<string, unknown>;
}

/** A failure with a class, a stable reason and a message that says what to do. */
export class RuntimeError extends Error {
  readonly kind: ErrorKind;
  readonly reason: Reason;
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(kind: ErrorKind, reason: Reason, message: string, options: RuntimeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RuntimeError';
    this.kind = kind;
    this.reason = reason;
    this.detail = options.detail ?? {};
  }
}

/** True when `error` is a RuntimeError, optionally of one reason. */
export function isRuntimeError(error: unknown, reason?: Reason): error is RuntimeError {
  return error instanceof RuntimeError && (reason === undefined || error.reason === reason);
}

/** The words of any thrown value, without a stack. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  return String(error);
}

/** A stranger's words as a part of a message: on one line, well-formed, at most `limit` characters. */
export function oneLine(text: string, limit: number): string {
  return text
    .slice(0, limit)
    .toWellFormed()
    .replace(/\p{Cc}/gu, '\ufffd');
}

/** The errno name (`ENOENT`, ...) of a Node or sys/ error, if it has one. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}

/** Wraps anything thrown as a RuntimeError; one that is already stays as it is. */
export function asRuntimeError(error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error;
  if (error instanceof Error && error.name === 'AbortError') {
    return new RuntimeError('cancelled', 'CANCELLED', 'the caller gave up before the operation ended', { cause: error });
  }
  return new RuntimeError('internal', 'INTERNAL', `unexpected failure: ${messageOf(error)}; ${REASONS.INTERNAL.action}`, {
    cause: error,
  });
}

/** `error` as DISK_FULL or READ_ONLY_FILE_SYSTEM when that is what it is, else as it was. `doing` says what on which path. */
export function diskError(error: unknown, doing: string): unknown {
  if (error instanceof RuntimeError) return error;
  const code = errnoOf(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const message = `${doing} failed: the file system has no space or inodes left (${code}); free some, or remove images with berth rmi`;
    return new RuntimeError('exhausted', 'DISK_FULL', message, { cause: error });
  }
  if (code === 'EROFS') {
    const message = `${doing} failed: the file system is read-only; remount it read-write and look at dmesg for the cause`;
    return new RuntimeError('internal', 'READ_ONLY_FILE_SYSTEM', message, { cause: error });
  }
  return error;
}
