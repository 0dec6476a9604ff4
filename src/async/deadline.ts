/** Deadlines and cancellation: signals that end, and promises that heed them. */
import { RuntimeError } from '../errors/index.ts';

/** A signal with a timer to be released. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
}

/** The error an aborted `signal` stands for: its own reason if that is an Error. */
export function abortError(signal: AbortSignal): Error {
  if (signal.reason instanceof Error && signal.reason.name !== 'AbortError') return signal.reason;
  return new RuntimeError('cancelled', 'CANCELLED', 'the caller gave up before the operation ended');
}

/** A signal that aborts with `onTimeout()` after `ms`, or when `parent` does. */
export function withDeadline(ms: number, onTimeout: () => Error, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(onTimeout()), ms);
  const relay = (): void => controller.abort(parent === undefined ? undefined : abortError(parent));
  if (parent?.aborted) relay();
  else parent?.addEventListener('abort', relay, { once: true });
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      parent?.removeEventListener('abort', relay);
    },
  };
}

/** Rejects with the signal's error as soon as it aborts; `work` itself goes on. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    work.catch(() => undefined); // its outcome has no reader any more
    throw abortError(signal);
  }
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(abortError(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Waits `ms`; rejects at once when `signal` aborts. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) throw abortError(signal);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const onAbort = (): void => reject(signal === undefined ? undefined : abortError(signal));
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
