/**
 * The distribution API (OCI distribution-spec, pull part): manifests and
 * blobs of one repository, from the first endpoint that serves. What comes
 * back for a digest is compared with it before anyone sees it, except blob
 * streams, whose reader does.
 */
import { createHash } from 'node:crypto';
import { withDeadline } from '../async/index.ts';
import type { RegistryHostConfig } from '../config/index.ts';
import { RuntimeError } from '../errors/index.ts';
import { type Digest, isDigest } from '../ids/index.ts';
import { type Attempt, attemptsError } from './attempts.ts';
import { Authorizer, LoginError } from './authorizer.ts';
import { blobRange, contentLength } from './blob-range.ts';
import { parseChallenges } from './challenge.ts';
import { credentialsFor, type RawCredentials } from './credentials.ts';
import { type Endpoint, endpointsOf } from './endpoints.ts';
import { ConnectionError, HttpClient, type HttpResponse, readBody } from './http.ts';
import { type Descriptor, MANIFEST_ACCEPT } from './manifest.ts';
import { formatReference, nameOf, type Reference } from './reference.ts';

/** A manifest or index as it came. */
export interface FetchedManifest {
  bytes: Buffer;
  digest: Digest;
  contentType: string;
}

/** Bytes of a blob from `offset` on: at most what was asked for, and 0 when the server cannot resume. */
export interface FetchedBlob {
  offset: number;
  /** Bytes of the whole blob, when the server says so. */
  total?: number | undefined;
  /** Who sends it, HOST[:PORT]; absent when it is a file of the node. */
  sender?: { host: string; mirror: boolean };
  body: AsyncIterable<Uint8Array>;
}

/** Bytes of a manifest (the distribution project's own bound). */
const MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024;
/** Bytes of an error answer that are looked at. */
const ERROR_LIMIT_BYTES = 64 * 1024;
/** A small document must arrive within this. */
const DOCUMENT_TIMEOUT_MS = 60_000;

/** Makes sessions; owns the connections. */
export class RegistryClient implements AsyncDisposable {
  readonly #http = new HttpClient();
  readonly #registries: readonly RegistryHostConfig[];

  constructor(registries: readonly RegistryHostConfig[]) {
    this.#registries = registries;
  }

  /** A session for one pull: one repository, one caller's credentials. */
  open(reference: Reference, auth: RawCredentials | undefined): RegistrySession {
    return new RegistrySession({ http: this.#http, reference, auth, endpoints: endpointsOf(reference.host, this.#registries) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}

interface SessionOptions {
  http: HttpClient;
  reference: Reference;
  auth: RawCredentials | undefined;
  endpoints: readonly Endpoint[];
}

interface Query {
  /** Below /v2/REPOSITORY/. */
  path: string;
  /** Names it in errors. */
  what: string;
  headers: Record<string, string>;
  signal: AbortSignal;
}

export class RegistrySession {
  readonly #http: HttpClient;
  readonly #reference: Reference;
  readonly #places: { endpoint: Endpoint; authorizer: Authorizer }[];

  constructor({ http, reference, auth, endpoints }: SessionOptions) {
    this.#http = http;
    this.#reference = reference;
    const credentials = credentialsFor(reference.host, auth);
    this.#places = endpoints.map((endpoint) => ({
      endpoint,
      authorizer: new Authorizer(http, reference.repository, endpoint.own ? credentials : undefined),
    }));
  }

  /** The manifest or index of the reference, or of a digest an index named. */
  async manifest(digest: Digest | undefined, signal: AbortSignal): Promise<FetchedManifest> {
    const wanted = digest ?? this.#reference.digest;
    const what = `image ${formatReference(this.#reference)}`;
    const query = { path: `manifests/${wanted ?? this.#reference.tag}`, what, headers: { accept: MANIFEST_ACCEPT } };
    const { bytes, headers } = await this.#document({ ...query, signal }, MANIFEST_LIMIT_BYTES);
    const actual = digestOf(bytes);
    const announced = headers['docker-content-digest'];
    const expected = wanted ?? (typeof announced === 'string' && isDigest(announced) ? announced : actual);
    if (actual !== expected) throw wrongDigest(`the manifest of ${what}`, expected, actual);
    const contentType = headers['content-type'];
    return { bytes, digest: actual, contentType: typeof contentType === 'string' ? contentType : '' };
  }

  /** A small blob, whole; verified. `limitBytes` bounds what is believed of its size. */
  async smallBlob(descriptor: Descriptor, limitBytes: number, signal: AbortSignal): Promise<Buffer> {
    const what = `config ${descriptor.digest} of ${nameOf(this.#reference)}`;
    if (descriptor.size > limitBytes)
      throw new RuntimeError('unknown', 'IMAGE_MANIFEST', `${what} is larger than ${limitBytes} bytes; rebuild the image`);
    const { bytes } = await this.#document({ path: `blobs/${descriptor.digest}`, what, headers: {}, signal }, limitBytes);
    const actual = digestOf(bytes);
    if (actual !== descriptor.digest || bytes.length !== descriptor.size) throw wrongDigest(what, descriptor.digest, actual);
    return bytes;
  }

  /** A blob as a stream, from `offset` on where the server can. */
  async blob(descriptor: Descriptor, offset: number, signal: AbortSignal): Promise<FetchedBlob> {
    const what = `layer ${descriptor.digest} of ${nameOf(this.#reference)}`;
    const query = { path: `blobs/${descriptor.digest}`, what, signal };
    if (offset > 0) {
      const { status, headers, body, endpoint } = await this.#get({ ...query, headers: { range: `bytes=${offset}-` } });
      const range = blobRange(status, headers);
      if (range !== undefined && range.offset <= offset) return { ...range, sender: senderOf(endpoint), body };
      await body.dump(); // 416, or a range that is no use
    }
    const { headers, body, endpoint } = await this.#get({ ...query, headers: {} });
    return { offset: 0, total: contentLength(headers), sender: senderOf(endpoint), body };
  }

  async #document(query: Query, limitBytes: number): Promise<{ bytes: Buffer; headers: HttpResponse['headers'] }> {
    const late = (): RuntimeError =>
      new RuntimeError(
        'unknown',
        'PULL_STALLED',
        `${query.what} did not arrive within ${DOCUMENT_TIMEOUT_MS / 1000} s; check the path to the registry`,
      );
    using deadline = withDeadline(DOCUMENT_TIMEOUT_MS, late, query.signal);
    const { headers, body } = await this.#get({ ...query, signal: deadline.signal });
    try {
      return { bytes: await readBody(body, limitBytes, deadline.signal), headers };
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      const served = this.#places[0]?.endpoint ?? { base: this.#reference.host, own: true };
      throw attemptsError(query.what, [{ endpoint: served, outcome: 'unavailable', said: error.message }]);
    }
  }

  /** Asks the endpoints in turn. The one that served is asked first from then on. */
  async #get(query: Query): Promise<HttpResponse & { endpoint: Endpoint }> {
    const attempts: Attempt[] = [];
    for (const place of [...this.#places]) {
      const answer = await this.#ask(place, query);
      if ('status' in answer) {
        this.#places.splice(this.#places.indexOf(place), 1);
        this.#places.unshift(place);
        return { ...answer, endpoint: place.endpoint };
      }
      attempts.push({ endpoint: place.endpoint, ...answer });
    }
    throw attemptsError(query.what, attempts);
  }

  async #ask(place: { endpoint: Endpoint; authorizer: Authorizer }, query: Query): Promise<HttpResponse | Omit<Attempt, 'endpoint'>> {
    const { endpoint, authorizer } = place;
    const url = `${endpoint.base}/v2/${this.#reference.repository}/${query.path}`;
    try {
      const send = (): Promise<HttpResponse> =>
        this.#http.send({ url, headers: query.headers, authorization: authorizer.header, signal: query.signal });
      let response = await send();
      // Another host's challenge is not answered: it would name its own token server, which would get the credentials.
      if (response.status === 401 && !response.elsewhere) {
        await response.body.dump();
        await authorizer.answer(parseChallenges(response.headers['www-authenticate']), endpoint.base, query.signal);
        response = await send();
      }
      if (response.status === 200 || response.status === 206) return response;
      if (response.status === 416 && query.headers.range !== undefined) return response;
      return await refusal(response, query.signal);
    } catch (error) {
      if (error instanceof LoginError) return { outcome: 'unauthorized', said: error.message };
      if (error instanceof ConnectionError) return { outcome: 'unavailable', said: error.message };
      throw error;
    }
  }
}

const senderOf = ({ base, own }: Endpoint): NonNullable<FetchedBlob['sender']> => ({ host: new URL(base).host, mirror: !own });

/** An answer that is no success, in words (distribution-spec "Error Codes"). */
async function refusal(response: HttpResponse, signal: AbortSignal): Promise<Omit<Attempt, 'endpoint'>> {
  const code = await errorCode(response, signal);
  const said = `answered ${response.status}${code === '' ? '' : ` ${code}`}`;
  if (response.status === 404) return { outcome: 'not-found', said };
  return { outcome: response.status === 401 || response.status === 403 ? 'unauthorized' : 'unavailable', said };
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

const digestOf = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest; // of that form by construction

function wrongDigest(what: string, expected: string, actual: string): RuntimeError {
  const message = `what the registry sent as ${what} is not what was asked for: its digest is ${actual}, not ${expected}; pull again, and if it stays, look at the registry or the proxy before it`;
  return new RuntimeError('unknown', 'IMAGE_DIGEST', message);
}
