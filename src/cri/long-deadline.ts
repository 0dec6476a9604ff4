/**
 * grpc-js 1.14 computes a call's deadline in 32-bit milliseconds: a timeout
 * over 24.8 days wraps around, often to the past, and the call fails at once.
 * kubelet sends such timeouts (StopContainer's is the grace period plus two
 * minutes), so that a pod with a grace period of 30 days could not be stopped.
 * Here the header is cut to the largest timeout that works, before grpc-js
 * reads it; Node publishes every server stream with its headers on a
 * diagnostics channel. A test pins both facts.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';

const CHANNEL = 'http2.server.stream.created';
const HEADER = 'grpc-timeout';
/** Timers and grpc-js both hold 31 bits of milliseconds. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;
/** PROTOCOL-HTTP2.md, Timeout; the smaller units cannot reach the limit with their 8 digits. */
const UNIT_MS: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000 };

/** The grpc-timeout header to use instead, or undefined when `header` is fine. */
function shortenedTimeout(header: string): string | undefined {
  const unit = UNIT_MS[header.slice(-1)];
  if (unit === undefined) return undefined;
  return Number(header.slice(0, -1)) * unit > LONGEST_TIMEOUT_MS ? `${Math.floor(LONGEST_TIMEOUT_MS / 1000)}S` : undefined;
}

function onStream(message: unknown): void {
  const headers = (message as { headers?: Record<string, unknown> }).headers;
  const timeout = headers?.[HEADER];
  if (headers === undefined || typeof timeout !== 'string') return;
  const shortened = shortenedTimeout(timeout);
  if (shortened !== undefined) headers[HEADER] = shortened;
}

/** Keeps long timeouts from wrapping while the result is not disposed. */
export function guardLongTimeouts(): Disposable {
  subscribe(CHANNEL, onStream);
  return {
    [Symbol.dispose]() {
      unsubscribe(CHANNEL, onStream);
    },
  };
}
