/**
 * The CLI's end of the socket: typed calls by the rows of the generated
 * service tables. Every error that comes back is a CallError with the
 * daemon's own words, or DaemonUnreachable when nobody answers.
 */
import { credentials, Client as GrpcClient, type Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { CallError, DaemonUnreachable } from './failure.ts';

/** A unary row of a generated service table. */
export interface UnaryMethod<Init, Decoded> {
  readonly path: string;
  readonly request: { encode(message: Init): { finish(): Uint8Array } };
  readonly response: { decode(bytes: Uint8Array): Decoded };
  readonly stream: false;
}

/** A server-streaming row of a generated service table. */
export interface StreamMethod<Init, Decoded> extends Omit<UnaryMethod<Init, Decoded>, 'stream'> {
  readonly stream: true;
}

/** How long to wait. */
export interface CallOptions {
  /** 0 is no limit; the default suits everything but pulls and graceful stops. */
  readonly timeoutMs?: number;
}

/** What kubelet, too, allows an ordinary CRI call. */
export const CALL_TIMEOUT_MS = 120_000;
/** Largest answer accepted: thousands of containers, or the 2 x 16 MiB of an exec. */
const MESSAGE_LIMIT_BYTES = 64 << 20;
/** Trailing metadata that carries the stable reason. */
const REASON_KEY = 'berth-reason';

/** A connection, made with the first call. */
export class Client implements Disposable {
  readonly socket: string;
  readonly #grpc: GrpcClient;

  constructor(socket: string) {
    this.socket = socket;
    this.#grpc = new GrpcClient(`unix:${socket}`, credentials.createInsecure(), {
      // Without this the authority is the socket's path, which Node's HTTP/2 refuses.
      'grpc.default_authority': 'localhost',
      'grpc.max_receive_message_length': MESSAGE_LIMIT_BYTES,
      'grpc.enable_retries': 0,
    });
  }

  /** One call. Throws CallError or DaemonUnreachable. */
  async call<Init, Decoded>(method: UnaryMethod<Init, Decoded>, request: Init, options: CallOptions = {}): Promise<Decoded> {
    const { promise, resolve, reject } = Promise.withResolvers<Decoded>();
    const timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS;
    this.#grpc.makeUnaryRequest(
      method.path,
      (message: Init) => encoded(method, message),
      (bytes: Buffer) => method.response.decode(bytes),
      request,
      timeoutMs === 0 ? {} : { deadline: Date.now() + timeoutMs },
      (error, answer) => {
        if (error !== null) reject(this.#told(error));
        else if (answer === undefined) reject(new CallError('INTERNAL', '', `${method.path} answered nothing`));
        else resolve(answer);
      },
    );
    return await promise;
  }

  /** The messages of a stream until it ends or `signal` aborts. Throws CallError or DaemonUnreachable. */
  async *stream<Init, Decoded>(method: StreamMethod<Init, Decoded>, request: Init, signal: AbortSignal): AsyncGenerator<Decoded> {
    const call = this.#grpc.makeServerStreamRequest(
      method.path,
      (message: Init) => encoded(method, message),
      (bytes: Buffer) => method.response.decode(bytes),
      request,
    );
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      for await (const message of call) yield message as Decoded;
    } catch (error) {
      if (!signal.aborted) throw this.#told(error as ServiceError);
    } finally {
      signal.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  [Symbol.dispose](): void {
    this.#grpc.close();
  }

  #told(error: ServiceError): Error {
    const reason = reasonOf(error.metadata);
    if (error.code === status.UNAVAILABLE && reason === '') return new DaemonUnreachable(this.socket, connectProblem(error.details));
    return new CallError(status[error.code] ?? String(error.code), reason, error.details);
  }
}

function encoded<Init>(method: Pick<UnaryMethod<Init, unknown>, 'request'>, message: Init): Buffer {
  const bytes = method.request.encode(message).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function reasonOf(metadata: Metadata | undefined): string {
  const [reason] = metadata?.get(REASON_KEY) ?? [];
  return reason === undefined ? '' : reason.toString();
}

const CONNECT_PROBLEMS: Record<string, string> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'the socket is there, but nobody listens',
  EACCES: 'permission denied: it is for root only',
  EINVAL: 'its path is longer than the 107 bytes a socket can have',
};

/** Why no connection came about, from grpc-js's words. */
function connectProblem(details: string): string {
  const [, errno = ''] = /\bconnect (E[A-Z]+)/.exec(details) ?? [];
  return CONNECT_PROBLEMS[errno] ?? details;
}
