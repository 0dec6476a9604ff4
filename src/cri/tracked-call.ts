/**
 * The life of one call from arrival to answer: its signal, its measurement and
 * its log line. A call is counted as started once and as ended once, whatever
 * happens in between. Requests and answers are never logged: they carry
 * credentials and environments.
 */
import { status } from '@grpc/grpc-js';
import type { RuntimeError } from '../errors/index.ts';
import { asRuntimeError, RuntimeError as Failure } from '../errors/index.ts';
import type { Logger } from '../log/index.ts';
import type { CallContext } from './call.ts';
import { type CallStatus, codeName, statusOf } from './error-map.ts';

/** Told about every call, for metrics. In flight = started less ended. */
export interface RpcObserver {
  started(event: { method: string }): void;
  /** code is a gRPC code's name, e.g. NOT_FOUND. */
  ended(event: { method: string; code: string; seconds: number }): void;
}

/** What a call needs of grpc-js's call objects. */
export interface ServerCall {
  getDeadline(): Date | number;
  once(event: 'cancelled', listener: () => void): unknown;
}

/** A client that cancels because its own deadline passed is a little ahead of the deadline known here. */
const DEADLINE_SLACK_MS = 50;

/** Codes that are an ordinary part of kubelet's life with a runtime (it asks for what is gone, and probes what is offered). */
const ORDINARY: ReadonlySet<status> = new Set([status.NOT_FOUND, status.UNIMPLEMENTED, status.CANCELLED, status.UNAVAILABLE]);

/** Where calls are reported. */
export interface CallReports {
  readonly log: Logger;
  readonly observer?: RpcObserver | undefined;
}

export class TrackedCall implements CallContext {
  readonly method: string;
  readonly #controller = new AbortController();
  readonly #reports: CallReports;
  readonly #startedMs = performance.now();

  constructor(method: string, call: ServerCall, reports: CallReports) {
    this.method = method;
    this.#reports = reports;
    const deadline = Number(call.getDeadline()); // Infinity when the caller set none
    // also emitted after the answer was sent, when aborting has no reader left
    call.once('cancelled', () => this.abort(Date.now() >= deadline - DEADLINE_SLACK_MS ? deadlinePassed() : cancelled()));
    reports.observer?.started({ method });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends the call's work for `reason`. */
  abort(reason: RuntimeError): void {
    this.#controller.abort(reason);
  }

  /** Reports success. */
  succeeded(): void {
    const ms = this.#ended(status.OK);
    this.#reports.log.debug({ rpc: this.method, ms }, 'rpc done');
  }

  /** Reports a failure and gives the status to send. */
  failed(thrown: unknown): CallStatus {
    const error = this.#explain(thrown);
    const answer = statusOf(this.method, error);
    const ms = this.#ended(answer.code);
    const line = { rpc: this.method, code: codeName(answer.code), reason: error.reason, ms, detail: error.detail };
    if (answer.code === status.INTERNAL) this.#reports.log.error({ ...line, err: error.cause ?? error }, error.message);
    else if (ORDINARY.has(answer.code)) this.#reports.log.info(line, error.message);
    else this.#reports.log.warn(line, error.message);
    return answer;
  }

  /** An abort that surfaces as whatever the interrupted step threw is told as what it was: a deadline or a cancel. */
  #explain(thrown: unknown): RuntimeError {
    const error = asRuntimeError(thrown);
    const reason: unknown = this.signal.reason;
    return this.signal.aborted && error.kind === 'cancelled' && reason instanceof Failure ? reason : error;
  }

  #ended(code: status): number {
    const ms = performance.now() - this.#startedMs;
    this.#reports.observer?.ended({ method: this.method, code: codeName(code), seconds: ms / 1000 });
    return Math.round(ms * 10) / 10;
  }
}

function deadlinePassed(): RuntimeError {
  return new Failure('deadline', 'DEADLINE', 'the caller’s deadline passed before the operation ended; call again');
}

function cancelled(): RuntimeError {
  return new Failure('cancelled', 'CANCELLED', 'the caller gave up before the operation ended');
}
