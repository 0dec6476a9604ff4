/**
 * Between gRPC and the RPCs: every call, unary or stream, goes through the
 * same steps: count it, refuse it while berth is starting, decode, run the
 * handler, encode, map the failure. Messages pass grpc-js as bytes, so that a
 * malformed request and an answer that cannot be encoded are failures like any
 * other, counted and logged.
 */
import type { ServerUnaryCall, ServerWritableStream, ServiceDefinition, sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js';
import { messageOf, RuntimeError } from '../errors/index.ts';
import type { HandlersOf, Method } from './call.ts';
import type { CriDependencies } from './dependencies.ts';
import { type CallReports, TrackedCall } from './tracked-call.ts';

/** What the dispatcher serves with. */
export interface DispatchOptions extends CallReports {
  readonly dependencies: CriDependencies;
  /** False until the store was matched with the machine. */
  readonly isReady: () => boolean;
  /** Streams under way, to be ended when the daemon stops. */
  readonly streams: Set<TrackedCall>;
}

/** Calls answered before berth is ready: the kubelet asks for it on every connection. */
const ANSWERED_WHILE_STARTING: ReadonlySet<string> = new Set(['Version']);

type Bytes = Uint8Array;
// biome-ignore lint/suspicious/noExplicitAny: the request's type belongs to the method; HandlersOf checked the pair
type AnyHandler = (deps: CriDependencies, request: any, call: TrackedCall) => unknown;

/** The service for grpc-js: bytes in, bytes out. */
export function serviceDefinition(methods: Record<string, Method>): ServiceDefinition {
  const same = (bytes: Buffer): Buffer => bytes;
  const rows = Object.entries(methods).map(([name, method]) => [
    name,
    {
      path: method.path,
      requestStream: false,
      responseStream: method.stream,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  ]);
  return Object.fromEntries(rows);
}

/** The implementation of a service; a method without a handler answers Unimplemented. */
export function implement<S extends Record<string, Method>>(
  methods: S,
  handlers: HandlersOf<S>,
  options: DispatchOptions,
): UntypedServiceImplementation {
  const rows = Object.entries(methods).map(([name, method]) => {
    const handler: AnyHandler = handlers[name] ?? refuse;
    return [name, method.stream ? streamCall(name, method, handler, options) : unaryCall(name, method, handler, options)];
  });
  return Object.fromEntries(rows);
}

function unaryCall(name: string, method: Method, handler: AnyHandler, options: DispatchOptions) {
  return async (call: ServerUnaryCall<Bytes, Buffer>, send: sendUnaryData<Buffer>): Promise<void> => {
    const tracked = new TrackedCall(name, call, options);
    let answer: Buffer;
    try {
      answer = encode(method, await handler(options.dependencies, accept(name, method, call.request, options), tracked));
    } catch (error) {
      send(tracked.failed(error));
      return;
    }
    tracked.succeeded();
    send(null, answer);
  };
}

function streamCall(name: string, method: Method, handler: AnyHandler, options: DispatchOptions) {
  return async (call: ServerWritableStream<Bytes, Buffer>): Promise<void> => {
    const tracked = new TrackedCall(name, call, options);
    options.streams.add(tracked);
    try {
      const answers = handler(options.dependencies, accept(name, method, call.request, options), tracked) as AsyncIterable<unknown>;
      for await (const answer of answers) {
        tracked.signal.throwIfAborted();
        if (!call.write(encode(method, answer))) await drained(call, tracked.signal);
      }
      tracked.signal.throwIfAborted(); // a stream that ended because of the abort did not succeed
      tracked.succeeded();
      call.end();
    } catch (error) {
      call.emit('error', tracked.failed(error)); // grpc-js sends it as the stream's status
    } finally {
      options.streams.delete(tracked);
    }
  };
}

/** The decoded request, unless berth is starting or the bytes are not a message. */
function accept(name: string, method: Method, bytes: Bytes, options: DispatchOptions): unknown {
  if (!options.isReady() && !ANSWERED_WHILE_STARTING.has(name)) {
    throw new RuntimeError('unavailable', 'STARTING', 'berth is matching its store with the machine after a start; call again in a moment');
  }
  try {
    return method.request.decode(bytes);
  } catch (cause) {
    const message = `the request of ${name} cannot be decoded: ${messageOf(cause)}; check the client’s version of the CRI`;
    throw new RuntimeError('invalid', 'INVALID_ARGUMENT', message, { cause });
  }
}

/** The bytes of an answer; what is bytes already goes out as it is. */
function encode(method: Method, answer: unknown): Buffer {
  const bytes = answer instanceof Uint8Array ? answer : method.response.encode(answer).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Resolves when the client has read enough to be sent more. */
async function drained(call: ServerWritableStream<Bytes, Buffer>, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => reject(signal.reason);
  call.once('drain', resolve);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) onAbort();
    await promise;
  } finally {
    call.off('drain', resolve);
    signal.removeEventListener('abort', onAbort);
  }
}

const refuse: AnyHandler = (_deps, _request, call) => {
  const message = `${call.method} is not offered by this version of berth; see its CHANGELOG`;
  throw new RuntimeError('unimplemented', 'UNIMPLEMENTED', message);
};
