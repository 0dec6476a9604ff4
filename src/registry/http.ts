/**
 * HTTP for the registry: one undici agent, redirects followed by hand so that
 * a secret never reaches another host, small answers read within a bound.
 * It knows nothing of registries.
 */
import type { Readable } from 'node:stream';
import type { Agent, request } from 'undici';
import { errnoOf, messageOf } from '../errors/index.ts';

/** One request. */
export interface HttpRequest {
  method?: 'GET' | 'HEAD' | 'POST';
  url: string;
  headers?: Record<string, string>;
  /** Secret: sent to the origin of `url` only. */
  authorization?: string | undefined;
  /** May be secret: sent to the origin of `url` only. */
  body?: string;
  signal: AbortSignal;
}

/** An answer whose body must be read or discarded. */
export interface HttpResponse {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Readable & { dump(): Promise<void> };
  /** It comes from another origin than was asked: a redirect led there, and no secret went along. */
  elsewhere: boolean;
}

/** No answer came: connection, TLS or protocol. The message says what in a few words. */
export class ConnectionError extends Error {
  constructor(cause: unknown) {
    super(wordsOf(cause), { cause });
    this.name = 'ConnectionError';
  }
}

const CONNECT_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 30_000;
/** An idle connection is kept this long for the next layer. */
const KEEP_ALIVE_MS = 10_000;
/** Hops of one request: a registry's blob is one or two away. */
const REDIRECTS_LIMIT = 5;

interface Transport {
  agent: Agent;
  request: typeof request;
}

/** undici costs 5 MB of heap, which a node that pulls nothing need not pay. */
async function loadTransport(): Promise<Transport> {
  // A CommonJS package: in the bundle its exports are those of `default` only.
  const { default: undici } = await import('undici');
  const agent = new undici.Agent({
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: HEADERS_TIMEOUT_MS,
    bodyTimeout: 0, // the transfer's own stall guard knows better
    keepAliveTimeout: KEEP_ALIVE_MS,
  });
  return { agent, request: undici.request };
}

export class HttpClient implements AsyncDisposable {
  /** Loaded with the first request. */
  #transport: Promise<Transport> | undefined;

  /**
   * Sends it, following redirects. Once another origin was visited nothing secret is sent any more, and a request
   * with a body is not taken there. Rejects with ConnectionError, or the signal's reason when that aborts.
   */
  async send(options: HttpRequest): Promise<HttpResponse> {
    let { url, authorization } = options;
    let elsewhere = false;
    for (let hop = 0; hop <= REDIRECTS_LIMIT; hop += 1) {
      const response = await this.#once({ ...options, url, authorization });
      const location = response.headers.location;
      if (response.status < 300 || response.status >= 400 || typeof location !== 'string') return { ...response, elsewhere };
      await response.body.dump();
      const next = redirectTarget(location, url);
      if (next.origin !== new URL(url).origin) {
        if (options.body !== undefined) throw new ConnectionError(new Error(`a log-in was redirected to another host, ${next.host}`));
        authorization = undefined;
        elsewhere = true;
      }
      url = next.href;
    }
    throw new ConnectionError(new Error(`more than ${REDIRECTS_LIMIT} redirects`));
  }

  /** Sends it and reads the whole answer of at most `limitBytes`. */
  async sendAndRead(
    options: HttpRequest,
    limitBytes: number,
  ): Promise<{ status: number; headers: HttpResponse['headers']; bytes: Buffer }> {
    const { status, headers, body } = await this.send(options);
    return { status, headers, bytes: await readBody(body, limitBytes, options.signal) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#transport)?.agent.destroy();
  }

  async #once(options: HttpRequest): Promise<Omit<HttpResponse, 'elsewhere'>> {
    const headers = {
      'user-agent': 'berth',
      ...options.headers,
      ...(options.authorization === undefined ? {} : { authorization: options.authorization }),
    };
    this.#transport ??= loadTransport();
    const { agent, request } = await this.#transport;
    try {
      const {
        statusCode,
        headers: answered,
        body,
      } = await request(options.url, {
        dispatcher: agent,
        method: options.method ?? 'GET',
        headers,
        ...(options.body === undefined ? {} : { body: options.body }),
        signal: options.signal,
      });
      return { status: statusCode, headers: answered, body };
    } catch (error) {
      if (options.signal.aborted) throw options.signal.reason;
      throw new ConnectionError(error);
    }
  }
}

/** Reads a body to its end; rejects with ConnectionError when it is cut or too long. */
export async function readBody(body: Readable, limitBytes: number, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      size += chunk.length;
      if (size > limitBytes) throw new Error(`its answer is longer than ${limitBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw new ConnectionError(error);
  }
  return Buffer.concat(chunks);
}

function redirectTarget(location: string, from: string): URL {
  let target: URL;
  try {
    target = new URL(location, from);
  } catch (error) {
    throw new ConnectionError(error);
  }
  if (target.protocol !== 'http:' && target.protocol !== 'https:') throw new ConnectionError(new Error(`a redirect to ${target.protocol}`));
  return target;
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'its name cannot be resolved',
  EAI_AGAIN: 'its name cannot be resolved at the moment',
  UND_ERR_CONNECT_TIMEOUT: `no connection within ${CONNECT_TIMEOUT_MS / 1000} s`,
  UND_ERR_HEADERS_TIMEOUT: `no answer within ${HEADERS_TIMEOUT_MS / 1000} s`,
  UND_ERR_SOCKET: 'the connection broke',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS (set plain_http for the host if that is meant)',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS (set plain_http for the host if that is meant)',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its TLS certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its TLS certificate is signed by an unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its TLS certificate is signed by an unknown authority',
  CERT_HAS_EXPIRED: 'its TLS certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its TLS certificate is for another name',
};

/** Stable words: no addresses and ports of our side, which change from one attempt to the next. */
function wordsOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return wordsOf(error.errors[0]);
  const code = errnoOf(error);
  const words = code === undefined ? undefined : WORDS[code];
  return words === undefined ? messageOf(error) : `${words} (${code})`;
}
