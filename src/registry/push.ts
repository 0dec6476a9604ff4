/**
 * The push side of the distribution API (OCI distribution-spec "Push"):
 * blobs and manifests of one repository to one endpoint, the first one that
 * may take images. Everything of an image must be at one place, so there is
 * no going on to the next; what fails for the moment is begun again.
 */
import { RuntimeError } from '../errors/index.ts';
import { type Digest, isDigest } from '../ids/index.ts';
import type { Refusal } from './attempts.ts';
import { digestOf } from './digest.ts';
import { discard, type HttpResponse } from './http.ts';
import type { Outcome, Place, Query } from './place.ts';
import { formatReference, nameOf, type Reference } from './reference.ts';
import { PATIENCE, walk } from './walk.ts';

/** A blob to be sent. */
export interface BlobSource {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Its bytes from the beginning; called again when the upload is begun again. */
  readonly open: () => AsyncIterable<Uint8Array>;
}

/** A registry may move a large blob before it answers. */
const UPLOAD_ANSWER_MS = 300_000;
/** A request without content must be answered within this. */
const REQUEST_TIMEOUT_MS = 60_000;

export class PushSession {
  readonly #reference: Reference;
  readonly #place: Place;

  constructor(reference: Reference, place: Place) {
    this.#reference = reference;
    this.#place = place;
  }

  /** http(s)://HOST[:PORT][/PATH] of the endpoint that takes the image. */
  get url(): string {
    return this.#place.endpoint.url;
  }

  /** Does the repository have this blob? */
  async hasBlob(digest: Digest, signal: AbortSignal): Promise<boolean> {
    const query = {
      method: 'HEAD',
      path: `blobs/${digest}`,
      good: [200, 404],
      verified: true,
      limitMs: REQUEST_TIMEOUT_MS,
      signal,
    } as const;
    return await this.#ask(`looking for blob ${digest} in ${nameOf(this.#reference)}`, signal, (place) =>
      place.ask(query, ({ status }) => status === 200),
    );
  }

  /** Sends a blob. Rejects with what the endpoint says, or with what `open` throws. */
  async uploadBlob(blob: BlobSource, signal: AbortSignal): Promise<void> {
    await this.#ask(`pushing blob ${blob.digest} of ${nameOf(this.#reference)}`, signal, async (place) => {
      const begin: Query = {
        method: 'POST',
        path: 'blobs/uploads/',
        headers: NO_CONTENT,
        good: [202],
        limitMs: REQUEST_TIMEOUT_MS,
        signal,
      };
      const begun = await place.ask(begin, async (response) => {
        await discard(response.body, signal);
        return locationOf(response);
      });
      if ('refusal' in begun) return begun;
      const url = begun.value;
      if (url === undefined) return refused('began an upload without saying where');
      if (place.endpoint.url.startsWith('https:') && !url.startsWith('https:')) return refused('wants the upload unencrypted');
      return await this.#send(place, { blob, url }, signal);
    });
  }

  /** Puts a manifest or index, whose blobs are there, under a tag or its digest. */
  async putManifest(reference: string, bytes: Uint8Array, mediaType: string, signal: AbortSignal): Promise<void> {
    const what = `pushing image ${formatReference(this.#reference)}`;
    const digest = digestOf(bytes);
    if (isDigest(reference) && reference !== digest)
      throw new RuntimeError('internal', 'INTERNAL', `${what}: the manifest to be put as ${reference} has the digest ${digest}`);
    const headers = { 'content-type': mediaType, 'content-length': String(bytes.length) };
    const query: Query = {
      method: 'PUT',
      path: `manifests/${reference}`,
      headers,
      body: () => bytes,
      good: [200, 201, 202],
      limitMs: REQUEST_TIMEOUT_MS,
      signal,
    };
    await this.#ask(what, signal, (place) => place.ask(query, (response) => discard(response.body, signal)));
  }

  /** Where the upload goes may be another host (it gets no credentials then), with a query of its own. */
  async #send(place: Place, { blob, url }: { blob: BlobSource; url: string }, signal: AbortSignal): Promise<Outcome<void>> {
    const failure: { error?: unknown } = {};
    const query: Query = {
      method: 'PUT',
      path: `${url}${url.includes('?') ? '&' : '?'}digest=${encodeURIComponent(blob.digest)}`,
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(blob.size) },
      body: () => remembering(blob.open(), failure),
      good: [201],
      headersTimeoutMs: UPLOAD_ANSWER_MS,
      signal,
    };
    const outcome = await place.ask(query, (response) => discard(response.body, signal));
    if ('error' in failure) throw failure.error; // ours, not the connection's
    return outcome;
  }

  async #ask<T>(what: string, signal: AbortSignal, ask: (place: Place) => Promise<Outcome<T>>): Promise<T> {
    const { value } = await walk({ places: [this.#place], what, ask, patience: PATIENCE, signal });
    return value;
  }
}

const NO_CONTENT = { 'content-length': '0' };

const refused = (said: string): { refusal: Refusal } => ({ refusal: { failure: '5xx', said, transient: false } });

function locationOf({ headers, url }: HttpResponse): string | undefined {
  const { location } = headers;
  return typeof location === 'string' && URL.canParse(location, url) ? new URL(location, url).href : undefined;
}

/** Passes bytes on and keeps the error of reading them, which the client would report as a broken connection. */
async function* remembering(bytes: AsyncIterable<Uint8Array>, failure: { error?: unknown }): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (error) {
    failure.error = error;
    throw error;
  }
}
