/**
 * The pull side of the distribution API (OCI distribution-spec): manifests
 * and blobs of one repository, from the first endpoint that serves. What
 * comes back for a digest is compared with it before anyone sees it, except
 * blob streams, whose reader does.
 */
import { RuntimeError } from '../errors/index.ts';
import { type Digest, isDigest } from '../ids/index.ts';
import { blobRange, contentLength } from './blob-range.ts';
import { digestOf, wrongDigest } from './digest.ts';
import type { Endpoint } from './endpoints.ts';
import type { Capability } from './hosts-file.ts';
import { discard, type HttpResponse, readBody } from './http.ts';
import { type Descriptor, MANIFEST_ACCEPT } from './manifest.ts';
import type { Outcome, Place, Query } from './place.ts';
import { formatReference, nameOf, type Reference } from './reference.ts';
import { PATIENCE, type Patience, READER_PATIENCE, walk } from './walk.ts';

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
export const MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024;
/** HTTP 416. */
const RANGE_NOT_SATISFIABLE = 416;
/** A small document must arrive within this. */
const DOCUMENT_TIMEOUT_MS = 60_000;

/** A document and what the answer said of it. */
interface Document {
  bytes: Buffer;
  contentType: string;
  /** Docker-Content-Digest, when it is one. */
  announced: Digest | undefined;
}

export class RegistrySession {
  readonly #reference: Reference;
  /** In the order to ask them. */
  #places: readonly Place[];

  constructor(reference: Reference, places: readonly Place[]) {
    this.#reference = reference;
    this.#places = places;
  }

  /** The manifest or index of the reference, or of a digest an index named. */
  async manifest(digest: Digest | undefined, signal: AbortSignal): Promise<FetchedManifest> {
    const what = `image ${formatReference(this.#reference)}`;
    const wanted = digest ?? this.#reference.digest ?? (await this.#resolve(what, signal));
    if (typeof wanted !== 'string') return wanted;
    const ask = (place: Place): Promise<Outcome<Document>> => readDocument(place, manifestQuery(wanted, signal), MANIFEST_LIMIT_BYTES);
    const { value, place } = await this.#walk('pull', { what, ask, signal });
    return checked(value, wanted, { what, url: place.endpoint.url });
  }

  /** A small blob, whole; verified. `limitBytes` bounds what is believed of its size. */
  async smallBlob(descriptor: Descriptor, limitBytes: number, signal: AbortSignal): Promise<Buffer> {
    const { digest, size } = descriptor;
    const what = `config ${digest} of ${nameOf(this.#reference)}`;
    if (size > limitBytes)
      throw new RuntimeError('unknown', 'IMAGE_MANIFEST', `${what} is larger than ${limitBytes} bytes; rebuild the image`);
    const query = { path: `blobs/${digest}`, good: [200], verified: true, limitMs: DOCUMENT_TIMEOUT_MS, signal };
    const { value, place } = await this.#walk('pull', { what, ask: (each) => readDocument(each, query, limitBytes), signal });
    const actual = digestOf(value.bytes);
    if (actual !== digest || value.bytes.length !== size) throw wrongDigest(what, place.endpoint.url, { expected: digest, actual });
    return value.bytes;
  }

  /** A blob as a stream, from `offset` on where the server can. An endpoint that fails is left to the reader's own retries. */
  async blob(descriptor: Descriptor, offset: number, signal: AbortSignal): Promise<FetchedBlob> {
    const resumed = offset === 0 ? undefined : await this.#rest(descriptor, offset, signal);
    if (resumed !== undefined) return resumed;
    const query = { path: `blobs/${descriptor.digest}`, good: [200], verified: true, signal };
    const ask = (place: Place): Promise<Outcome<FetchedBlob>> =>
      place.ask(query, ({ headers, body }) => ({ offset: 0, total: contentLength(headers), sender: senderOf(place.endpoint), body }));
    return await this.#open(descriptor, ask, signal);
  }

  /** What is left of a blob; undefined when the server has no such range, or sends one that is no use. */
  async #rest(descriptor: Descriptor, offset: number, signal: AbortSignal): Promise<FetchedBlob | undefined> {
    const headers = { range: `bytes=${offset}-` };
    const query = { path: `blobs/${descriptor.digest}`, headers, good: [200, 206, RANGE_NOT_SATISFIABLE], verified: true, signal };
    const ask = (place: Place): Promise<Outcome<FetchedBlob | undefined>> =>
      place.ask(query, async ({ status, headers: answered, body }) => {
        const range = blobRange(status, answered);
        if (range !== undefined && range.offset <= offset) return { ...range, sender: senderOf(place.endpoint), body };
        await discard(body, signal);
        return undefined;
      });
    return await this.#open(descriptor, ask, signal);
  }

  async #open<T>(descriptor: Descriptor, ask: (place: Place) => Promise<Outcome<T>>, signal: AbortSignal): Promise<T> {
    const what = `layer ${descriptor.digest} of ${nameOf(this.#reference)}`;
    return (await this.#walk('pull', { what, ask, signal, patience: READER_PATIENCE })).value;
  }

  /** What the tag stands for: the document, or its digest from an endpoint that is trusted with tags and not asked for content. */
  async #resolve(what: string, signal: AbortSignal): Promise<FetchedManifest | Digest> {
    const query = manifestQuery(this.#reference.tag ?? '', signal);
    const ask = async (place: Place): Promise<Outcome<Document>> =>
      place.endpoint.capabilities.has('pull') ? readDocument(place, query, MANIFEST_LIMIT_BYTES) : readHead(place, query);
    const { value, place } = await this.#walk('resolve', { what, ask, signal });
    if (!place.endpoint.capabilities.has('pull')) {
      if (value.announced !== undefined) return value.announced;
      const message = `${what}: ${place.endpoint.url} does not say which digest the tag has; give it the capability "pull" too in ${place.endpoint.source}`;
      throw new RuntimeError('unknown', 'REGISTRY_UNAVAILABLE', message);
    }
    return checked(value, value.announced, { what, url: place.endpoint.url });
  }

  /** Asks the endpoints that may be, in turn. Those that refused are asked after the one that served from then on. */
  async #walk<T>(
    capability: Capability,
    {
      patience = PATIENCE,
      ...asked
    }: { what: string; ask: (place: Place) => Promise<Outcome<T>>; signal: AbortSignal; patience?: Patience },
  ): Promise<{ value: T; place: Place }> {
    const places = this.#places.filter((place) => place.endpoint.capabilities.has(capability));
    if (places.length === 0) throw incapable(asked.what, capability, this.#places);
    const served = await walk({ ...asked, places, patience });
    const refused = places.slice(0, places.indexOf(served.place));
    const rest = this.#places.filter((place) => !refused.includes(place));
    rest.splice(rest.indexOf(served.place) + 1, 0, ...refused);
    this.#places = rest;
    return served;
  }
}

const senderOf = ({ url, own }: Endpoint): NonNullable<FetchedBlob['sender']> => ({ host: new URL(url).host, mirror: !own });

/** The error of a file that lets nobody be asked. */
export function incapable(what: string, capability: Capability, places: readonly Place[]): RuntimeError {
  const sources = [...new Set(places.map(({ endpoint }) => endpoint.source))].join(', ');
  const message = `${what}: no endpoint may be asked, since none has the capability "${capability}"; give it to one in ${sources}`;
  return new RuntimeError('precondition', 'CONFIG_INVALID', message);
}

/** Asks for a manifest by tag or digest. */
export function manifestQuery(reference: string, signal: AbortSignal): Query {
  const verified = isDigest(reference);
  return {
    path: `manifests/${reference}`,
    headers: { accept: MANIFEST_ACCEPT },
    good: [200],
    verified,
    limitMs: DOCUMENT_TIMEOUT_MS,
    signal,
  };
}

/** The whole answer to `query`. */
export function readDocument(place: Place, query: Query, limitBytes: number): Promise<Outcome<Document>> {
  return place.ask(query, async ({ headers, body }) => ({
    bytes: await readBody(body, limitBytes, query.signal),
    contentType: typeof headers['content-type'] === 'string' ? headers['content-type'] : '',
    announced: announcedDigest(headers),
  }));
}

/** What the head of the answer says. */
export function readHead(place: Place, query: Query): Promise<Outcome<Document>> {
  return place.ask({ ...query, method: 'HEAD' }, ({ headers }) => ({
    bytes: Buffer.alloc(0),
    contentType: '',
    announced: announcedDigest(headers),
  }));
}

function announcedDigest(headers: HttpResponse['headers']): Digest | undefined {
  const announced = headers['docker-content-digest'];
  return typeof announced === 'string' && isDigest(announced) ? announced : undefined;
}

function checked(
  { bytes, contentType }: Document,
  wanted: Digest | undefined,
  { what, url }: { what: string; url: string },
): FetchedManifest {
  const digest = digestOf(bytes);
  if (wanted !== undefined && digest !== wanted) throw wrongDigest(`the manifest of ${what}`, url, { expected: wanted, actual: digest });
  return { bytes, digest, contentType };
}
