/**
 * One endpoint within a session: sends a request there, logs in when it asks
 * for that, and tells an answer from a refusal. Whoever asks decides where to
 * go from a refusal; errors that concern us and not the endpoint (an abort,
 * our own configuration) are thrown.
 */
import { withDeadline } from '../async/index.ts';
import type { Refusal } from './attempts.ts';
import type { Authorizer, Login } from './authorizer.ts';
import { parseChallenges } from './challenge.ts';
import { ConnectionError } from './connection-error.ts';
import type { Endpoint } from './endpoints.ts';
import { discard, type HttpClient, type HttpRequest, type HttpResponse, readBody } from './http.ts';
import { LoginError } from './login-error.ts';
import { parseRetryAfter } from './retry-after.ts';

/** One request to an endpoint. */
export interface Query extends Pick<HttpRequest, 'method' | 'headers' | 'verified' | 'headersTimeoutMs' | 'signal'> {
  /** Below the repository, such as manifests/TAG; or a whole URL that the endpoint named. */
  path: string;
  /** Statuses that are no refusal. */
  good: readonly number[];
  /** Makes the body, anew for each time it is sent. */
  body?: () => NonNullable<HttpRequest['body']>;
  /** The whole answer must be there within this. */
  limitMs?: number;
}

/** What an endpoint made of a request. */
export type Outcome<T> = { readonly value: T } | { readonly refusal: Refusal };

/** Bytes of an error answer that are looked at. */
const ERROR_LIMIT_BYTES = 64 * 1024;
/** Times one request is sent: with what we have, with another request's newer token, after a log-in. */
const SENDS_LIMIT = 3;

interface PlaceOptions {
  http: HttpClient;
  endpoint: Endpoint;
  repository: string;
  authorizer: Authorizer;
  /** Of the proxy on the way, for messages. */
  proxy: string | undefined;
}

export class Place {
  readonly endpoint: Endpoint;
  readonly authorizer: Authorizer;
  readonly proxy: string | undefined;
  readonly #http: HttpClient;
  readonly #repository: string;

  constructor({ http, endpoint, repository, authorizer, proxy }: PlaceOptions) {
    this.endpoint = endpoint;
    this.authorizer = authorizer;
    this.proxy = proxy;
    this.#http = http;
    this.#repository = repository;
  }

  /** Asks and lets `read` take a good answer; when that meets a broken connection it counts as the endpoint's. */
  async ask<T>(query: Query, read: (response: HttpResponse) => T | Promise<T>): Promise<Outcome<T>> {
    const { limitMs } = query;
    const late = (): Error => new ConnectionError(new Error(`its answer did not come to an end within ${(limitMs ?? 0) / 1000} s`), false);
    using deadline = limitMs === undefined ? undefined : withDeadline(limitMs, late, query.signal);
    const bounded = deadline === undefined ? query : { ...query, signal: deadline.signal };
    try {
      const response = await this.#send(bounded);
      if (query.good.includes(response.status)) return { value: await read(response) };
      return { refusal: await refusalOf(response, this.authorizer.login, bounded.signal) };
    } catch (error) {
      if (error instanceof LoginError) return { refusal: { failure: 'auth', said: error.message, transient: false } };
      if (error instanceof ConnectionError) return { refusal: { failure: 'connect', said: error.message, transient: error.transient } };
      throw error;
    }
  }

  /** Sends it, logging in once when asked to; the last answer may still be a 401. */
  async #send(query: Query): Promise<HttpResponse> {
    const { authorizer } = this;
    if (!this.#isHere(query.path)) return await this.#once(query, undefined);
    for (let sends = 1; ; sends += 1) {
      await authorizer.renew(query.signal);
      const sent = authorizer.header;
      const response = await this.#once(query, sent);
      // Another host's challenge is not answered: it would name its own token server, which would get the credentials.
      if (response.status !== 401 || response.elsewhere || sends >= SENDS_LIMIT) return response;
      const challenges = parseChallenges(response.headers['www-authenticate']);
      await discard(response.body, query.signal);
      const isNew = authorizer.header === sent;
      await authorizer.answer(challenges, sent, query.signal);
      if (isNew) return await this.#once(query, authorizer.header);
    }
  }

  async #once(query: Query, authorization: string | undefined): Promise<HttpResponse> {
    const { method, headers, verified, headersTimeoutMs, signal, body } = query;
    return await this.#http.send({
      target: this.endpoint,
      url: this.#urlOf(query.path),
      authorization,
      signal,
      ...(method === undefined ? {} : { method }),
      ...(headers === undefined ? {} : { headers }),
      ...(verified === undefined ? {} : { verified }),
      ...(headersTimeoutMs === undefined ? {} : { headersTimeoutMs }),
      ...(body === undefined ? {} : { body: body() }),
    });
  }

  /** A URL that the endpoint named may be another host's, which gets no secret. */
  #isHere(path: string): boolean {
    return !isUrl(path) || new URL(path).origin === new URL(this.endpoint.url).origin;
  }

  #urlOf(path: string): string {
    if (isUrl(path)) return path;
    const { api, namespace } = this.endpoint;
    const url = `${api}/${this.#repository}/${path}`;
    return namespace === undefined ? url : `${url}?ns=${encodeURIComponent(namespace)}`;
  }
}

const isUrl = (path: string): boolean => /^https?:/.test(path);

/** An answer that is no success, in words (distribution-spec "Error Codes"). */
async function refusalOf(response: HttpResponse, { whose, how }: Login, signal: AbortSignal): Promise<Refusal> {
  const { status, headers, elsewhere } = response;
  const code = await errorCode(response, signal);
  const said = `answered ${status}${code === '' ? '' : ` ${code}`}`;
  if (status === 404) return { failure: '404', said, transient: false };
  if (status === 401 || status === 403) {
    const asWhom =
      elsewhere || how === 'none' || whose === 'anonymous' ? '' : ` to the credentials of ${whose === 'request' ? 'the request' : whose}`;
    return { failure: 'auth', said: said + asWhom, transient: false };
  }
  const isBusy = status === 429 || status === 503;
  const retryAfterMs = isBusy ? parseRetryAfter(headers['retry-after'], Date.now()) : undefined;
  const transient = isBusy || status === 408 || status === 500 || status === 502 || status === 504;
  return { failure: '5xx', said, transient, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** The stable code of the first error; its free text may hold request ids and is left out. */
async function errorCode(response: HttpResponse, signal: AbortSignal): Promise<string> {
  try {
    const bytes = await readBody(response.body, ERROR_LIMIT_BYTES, signal);
    const document: unknown = JSON.parse(bytes.toString('utf8'));
    const first = (document as { errors?: { code?: unknown }[] }).errors?.[0]?.code;
    return typeof first === 'string' && /^[A-Z_]{1,64}$/.test(first) ? first : '';
  } catch {
    if (signal.aborted) throw signal.reason;
    return ''; // no JSON, or a page of HTML too long to read: the status alone is said
  }
}
