/**
 * What a pull of a reference would meet, without pulling: every endpoint it
 * could ask, in its order, is asked for the manifest alone, over connections
 * of the probe's own, so that each answer shows name, TLS and log-in afresh.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { isRuntimeError } from '../errors/index.ts';
import type { Digest } from '../ids/index.ts';
import { monotonicNs } from '../sys/index.ts';
import type { Login } from './authorizer.ts';
import { digestOf } from './digest.ts';
import type { Outcome, Place } from './place.ts';
import type { Reference } from './reference.ts';
import { MANIFEST_LIMIT_BYTES, manifestQuery, readDocument, readHead } from './session.ts';

/** What one endpoint said (berth.v1 EndpointReport). */
export interface EndpointReport {
  readonly url: string;
  readonly own: boolean;
  readonly source: string;
  readonly login: Login;
  /** Without credentials. */
  readonly proxy: string | undefined;
  /** undefined for plain http and where no connection came about. */
  readonly tls: TlsReport | undefined;
  readonly ok: boolean;
  readonly said: string;
  /** What a pull does after this answer. */
  readonly verdict: 'use' | 'next' | 'stop';
  /** ns from the beginning; undefined when it did not get so far. */
  readonly connectedNs: bigint | undefined;
  readonly answeredNs: bigint | undefined;
  readonly digest: Digest | undefined;
}

/** A TLS connection that came about. */
export interface TlsReport {
  readonly version: string;
  readonly subject: string;
  readonly issuer: string;
  /** ns since the epoch. */
  readonly notAfterNs: bigint;
  readonly verified: boolean;
}

/** A new connection to `origin`. */
interface Connection {
  readonly origin: string;
  readonly tls: Omit<TlsReport, 'verified'> | undefined;
  readonly atNs: bigint;
}

/** Statuses of servers that answer a HEAD otherwise than a GET. */
const NO_HEAD = /^answered (?:400|405|501)\b/;

export class Probe {
  readonly #connections: Connection[] = [];
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** To be told of every new connection of the places' client. */
  observe(origin: string, socket: Socket): void {
    this.#connections.push({ origin, tls: tlsOf(socket), atNs: monotonicNs() });
  }

  /**
   * Asks each place in turn. One that may not say what a tag stands for is asked for the digest that the others gave
   * it, as a pull does for content.
   */
  async run(reference: Reference, places: readonly Place[]): Promise<EndpointReport[]> {
    const wanted = reference.digest ?? reference.tag ?? '';
    const able = (capability: 'pull' | 'resolve'): Place[] => places.filter(({ endpoint }) => endpoint.capabilities.has(capability));
    const first = able(reference.digest === undefined ? 'resolve' : 'pull');
    const reports = new Map<Place, EndpointReport>();
    for (const place of first) reports.set(place, await this.#ask(place, wanted, place === first.at(-1)));
    const decided = [...reports.values()].find(({ verdict }) => verdict !== 'next');
    for (const place of able('pull')) {
      if (reports.has(place)) continue;
      const digest = decided?.verdict === 'use' ? decided.digest : undefined;
      reports.set(place, digest === undefined ? notAsked(place) : await this.#ask(place, digest, place === able('pull').at(-1)));
    }
    return places.flatMap((place) => reports.get(place) ?? []);
  }

  async #ask(place: Place, wanted: string, isLast: boolean): Promise<EndpointReport> {
    const { endpoint } = place;
    const startedNs = monotonicNs();
    const outcome = await this.#outcome(place, wanted);
    const answeredNs = monotonicNs() - startedNs;
    const { origin } = new URL(endpoint.url);
    const connection = this.#connections.find((each) => each.origin === origin && each.atNs >= startedNs);
    const shared = {
      ...aboutPlace(place),
      login: place.authorizer.login,
      tls: connection?.tls === undefined ? undefined : { ...connection.tls, verified: endpoint.tls.verify },
      connectedNs: connection === undefined ? undefined : connection.atNs - startedNs,
    };
    if ('value' in outcome) return { ...shared, ok: true, said: 'has it', verdict: 'use', answeredNs, digest: outcome.value };
    const failed = { ...shared, ok: false, digest: undefined };
    if ('broken' in outcome) return { ...failed, said: outcome.broken, verdict: 'stop', answeredNs: undefined };
    const { failure, said } = outcome.refusal;
    const verdict = !isLast && endpoint.fallback.has(failure) ? 'next' : 'stop';
    return { ...failed, said, verdict, answeredNs: failure === 'connect' ? undefined : answeredNs };
  }

  /** The digest it offers, asked for without content where it lets us; `broken` is our own configuration. */
  async #outcome(place: Place, wanted: string): Promise<Outcome<Digest | undefined> | { broken: string }> {
    const query = manifestQuery(wanted, this.#signal);
    try {
      const head = await readHead(place, query);
      if ('value' in head) return { value: head.value.announced };
      if (!NO_HEAD.test(head.refusal.said)) return head;
      const whole = await readDocument(place, query, MANIFEST_LIMIT_BYTES);
      return 'value' in whole ? { value: digestOf(whole.value.bytes) } : whole;
    } catch (error) {
      if (isRuntimeError(error, 'CONFIG_INVALID')) return { broken: error.message };
      throw error;
    }
  }
}

const aboutPlace = ({ endpoint: { url, own, source }, proxy }: Place): Pick<EndpointReport, 'url' | 'own' | 'source' | 'proxy'> => ({
  url,
  own,
  source,
  proxy,
});

function notAsked(place: Place): EndpointReport {
  const said = 'was not asked: it may not say what a tag stands for, and no other endpoint did';
  const nothing = { tls: undefined, connectedNs: undefined, answeredNs: undefined, digest: undefined };
  return { ...aboutPlace(place), ...nothing, login: { whose: 'anonymous', how: 'none' }, ok: false, said, verdict: 'next' };
}

function tlsOf(socket: Socket): Connection['tls'] {
  if (!(socket instanceof TLSSocket)) return undefined;
  const certificate = socket.getPeerX509Certificate();
  return {
    version: socket.getProtocol() ?? '',
    subject: nameOnOneLine(certificate?.subject),
    issuer: nameOnOneLine(certificate?.issuer),
    notAfterNs: BigInt(Date.parse(certificate?.validTo ?? '') || 0) * 1_000_000n,
  };
}

/** A distinguished name, CN=... first, as people look for that. */
function nameOnOneLine(name: string | undefined): string {
  const parts = (name ?? '').split('\n').filter((part) => part !== '');
  return parts.toSorted((a, b) => Number(b.startsWith('CN=')) - Number(a.startsWith('CN='))).join(', ');
}
