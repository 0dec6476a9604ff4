/**
 * What a call is to the code of an RPC: a decoded request, the dependencies
 * and a signal. An RPC returns a message to encode, or bytes that are encoded
 * already; it never sees gRPC.
 */
import type { Message } from '../gen/index.ts';
import type { CriDependencies } from './dependencies.ts';

/** The CRI's limit of one message in each direction (cri-client utils.go maxMsgSize: kubelet's own limit). */
export const MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024;

/** The call under way. */
export interface CallContext {
  /** Name of the RPC, e.g. RunPodSandbox. */
  readonly method: string;
  /** Aborts with a RuntimeError when the caller cancels, its deadline passes or the daemon stops. */
  readonly signal: AbortSignal;
}

/** One row of a generated service table. */
export interface Method {
  readonly path: string;
  // biome-ignore lint/suspicious/noExplicitAny: the codec of any message; handlers are typed through HandlerOf
  readonly request: Message<any, any>;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly response: Message<any, any>;
  readonly stream: boolean;
}

type RequestOf<M extends Method> = M['request'] extends Message<infer _, infer Decoded> ? Decoded : never;
type ResponseOf<M extends Method> = M['response'] extends Message<infer Init, infer _> ? Init : never;

/** What an RPC may answer with: a message, or the bytes of one. */
export type Answer<M extends Method> = ResponseOf<M> | Uint8Array;

/** The function of one RPC: a promise, or for streams an async iterable, of answers. */
export type HandlerOf<M extends Method> = (
  deps: CriDependencies,
  request: RequestOf<M>,
  call: CallContext,
) => M['stream'] extends true ? AsyncIterable<Answer<M>> : Answer<M> | Promise<Answer<M>>;

/** A service's RPCs; one that is left out answers Unimplemented. */
export type HandlersOf<S extends Record<string, Method>> = { readonly [Name in keyof S]?: HandlerOf<S[Name]> };
