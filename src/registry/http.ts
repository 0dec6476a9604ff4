/**
 * HTTP for the registry: redirects followed by hand so that a secret never
 * reaches another origin and nothing secret or unverified travels in the
 * clear after it was asked for by https; small answers read within a bound.
 * It knows nothing of registries.
 */
import type { Readable } from 'node:stream';
import { ConnectionError, unacceptable } from './connection-error.ts';
import { proxyFor } from './proxy.ts';
import { type ConnectionObserver, Transport } from './transport.ts';
import { type TlsSettings, type Trust, withoutClient } from './trust.ts';

/** Where requests go in the first place, and what holds for them. */
export interface Target {
  /** Any URL of it. */
  readonly url: string;
  /** Its authorities hold for whatever it leads to, its client certificates for its own origin. */
  readonly tls: TlsSettings;
  readonly dialTimeoutMs: number | undefined;
  /** Sent to its own origin only; may be secret. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

/** One request. */
export interface HttpRequest {
  target: Target;
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT';
  url: string;
  headers?: Record<string, string>;
  /** Secret: sent to the origin of `url` only. */
  authorization?: string | undefined;
  /** May be secret: sent to the origin of `url` only. A stream's length is in the headers. */
  body?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** What comes is compared with a digest: it may come in the clear. */
  verified?: boolean;
  /** Until the answer's head; the transport's own when absent. */
  headersTimeoutMs?: number;
  signal: AbortSignal;
}

/** An answer whose body must be read or discarded. */
export interface HttpResponse {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Readable;
  /** It comes from another origin than was asked: a redirect led there, and no secret went along. */
  elsewhere: boolean;
  /** Where it comes from in the end. */
  url: string;
}

/** What a client works with. */
export interface HttpOptions {
  /** Its proxies are in here. */
  env: Readonly<Record<string, string | undefined>>;
  /** May be shared with other clients. */
  trust: Trust;
  /** Sees every new connection. */
  observe?: ConnectionObserver;
}

/** Hops of one request: a registry's blob is one or two away. */
const REDIRECTS_LIMIT = 5;
/** Bytes of an answer nobody reads, to keep its connection; a longer one is cut. */
const DISCARD_LIMIT_BYTES = 64 * 1024;

export class HttpClient implements AsyncDisposable {
  readonly #transport: Transport;
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor({ env, trust, observe }: HttpOptions) {
    this.#env = env;
    this.#transport = new Transport(trust, observe);
  }

  /**
   * Sends it, following redirects. Once another origin was visited nothing secret is sent any more, and a request
   * with a body is not taken there. Rejects with ConnectionError, CONFIG_INVALID for a proxy that is none, or the signal's reason.
   */
  async send(options: HttpRequest): Promise<HttpResponse> {
    let { url, authorization } = options;
    let elsewhere = false;
    for (let hop = 0; hop <= REDIRECTS_LIMIT; hop += 1) {
      const response = await this.#once({ ...options, url, authorization }, elsewhere);
      const { location } = response.headers;
      if (response.status < 300 || response.status >= 400 || typeof location !== 'string') return { ...response, elsewhere, url };
      await discard(response.body, options.signal);
      const next = redirectTarget(location, url);
      if (isDowngrade(url, next) && !(options.verified === true && options.authorization === undefined))
        throw unacceptable(`it redirects to ${next.origin}, which is not encrypted`);
      if (next.origin !== new URL(url).origin) {
        if (options.body !== undefined) throw unacceptable(`what was sent to it was redirected to another host, ${next.host}`);
        authorization = undefined;
        elsewhere = true;
      } else if (!isReplayable(options)) throw unacceptable('it redirects an upload');
      url = next.href;
    }
    throw unacceptable(`more than ${REDIRECTS_LIMIT} redirects`);
  }

  /** Sends it and reads the whole answer of at most `limitBytes`. */
  async sendAndRead(options: HttpRequest, limitBytes: number): Promise<{ status: number; bytes: Buffer }> {
    const { status, body } = await this.send(options);
    return { status, bytes: await readBody(body, limitBytes, options.signal) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }

  async #once(options: HttpRequest, elsewhere: boolean): Promise<Omit<HttpResponse, 'elsewhere' | 'url'>> {
    const { target, signal } = options;
    const url = new URL(options.url);
    const isHome = !elsewhere && url.origin === new URL(target.url).origin;
    const dispatcher = await this.#transport.dispatcher({
      origin: url.origin,
      tls: isHome ? target.tls : withoutClient(target.tls),
      proxy: proxyFor(url, this.#env),
      dialTimeoutMs: target.dialTimeoutMs,
    });
    const { request } = await this.#transport.load();
    try {
      const { statusCode, headers, body } = await request(url, {
        dispatcher,
        method: options.method ?? 'GET',
        headers: {
          'user-agent': 'berth',
          ...(isHome ? mutable(target.headers) : {}),
          ...options.headers,
          ...(options.authorization === undefined ? {} : { authorization: options.authorization }),
        },
        ...(options.body === undefined ? {} : { body: options.body as string | Uint8Array | Readable }),
        ...(options.headersTimeoutMs === undefined ? {} : { headersTimeout: options.headersTimeoutMs }),
        signal,
      });
      return { status: statusCode, headers, body };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
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
      if (size > limitBytes) throw unacceptable(`its answer is longer than ${limitBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error instanceof ConnectionError ? error : new ConnectionError(error);
  }
  return Buffer.concat(chunks);
}

/** Takes a body nobody wants, so that its connection can be used again; a long one costs the connection instead. */
export async function discard(body: Readable, signal: AbortSignal): Promise<void> {
  await readBody(body, DISCARD_LIMIT_BYTES, signal).catch(() => undefined); // cut, or cut by us: it is not needed
  if (signal.aborted) throw signal.reason;
}

const isDowngrade = (from: string, to: URL): boolean => from.startsWith('https:') && to.protocol === 'http:';

/** A stream is gone once it was sent. */
const isReplayable = ({ body }: HttpRequest): boolean => body === undefined || typeof body === 'string' || body instanceof Uint8Array;

const mutable = (headers: Target['headers']): Record<string, string[]> =>
  Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, [...values]]));

function redirectTarget(location: string, from: string): URL {
  let target: URL;
  try {
    target = new URL(location, from);
  } catch {
    throw unacceptable('it redirects to something that is no URL');
  }
  if (target.protocol !== 'http:' && target.protocol !== 'https:') throw unacceptable(`it redirects to ${target.protocol}`);
  return target;
}
