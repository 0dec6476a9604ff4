/**
 * Connections: one pool for each distinct origin, TLS and proxy, kept while
 * in use and for a few seconds after, closed together. undici costs 5 MB of
 * heap, which a node that pulls nothing need not pay: it is loaded with the
 * first request, TLS with the first https one.
 */
import { isIP, type Socket } from 'node:net';
import type { buildConnector, Dispatcher, Pool, request } from 'undici';
import type { ProxyServer } from './proxy.ts';
import { type TlsSettings, type Trust, tlsFingerprint } from './trust.ts';

/** How an origin is reached. */
export interface Way {
  /** scheme://HOST[:PORT] */
  readonly origin: string;
  readonly tls: TlsSettings;
  readonly proxy: ProxyServer | undefined;
  /** undefined is CONNECT_TIMEOUT_MS. */
  readonly dialTimeoutMs: number | undefined;
}

/** Sees each new connection to an origin, TLS included. */
export type ConnectionObserver = (origin: string, socket: Socket) => void;

interface Undici {
  readonly Pool: typeof Pool;
  readonly ProxyAgent: typeof import('undici').ProxyAgent;
  readonly buildConnector: typeof buildConnector;
  readonly request: typeof request;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Until an answer's head is there. */
const HEADERS_TIMEOUT_MS = 30_000;
/** An idle connection is kept this long for the next layer. */
const KEEP_ALIVE_MS = 10_000;
/** Pools kept; the one unused for longest goes first. */
const POOLS_LIMIT = 64;

/**
 * HTTP/1.1 only: layers of one pull come over connections of their own, which
 * is faster than streams of one connection that share its window.
 */
const OPTIONS = { headersTimeout: HEADERS_TIMEOUT_MS, bodyTimeout: 0, keepAliveTimeout: KEEP_ALIVE_MS, allowH2: false };

export class Transport implements AsyncDisposable {
  readonly #observe: ConnectionObserver | undefined;
  readonly #trust: Trust;
  /** In the order of use, the latest last. */
  readonly #pools = new Map<string, Promise<Dispatcher>>();
  /** Given up, with requests under way that they finish. */
  readonly #leaving = new Set<Promise<Dispatcher>>();
  #undici: Promise<Undici> | undefined;

  constructor(trust: Trust, observe: ConnectionObserver | undefined) {
    this.#trust = trust;
    this.#observe = observe;
  }

  /** undici's request, which a pool of `dispatcher` carries. */
  async load(): Promise<Undici> {
    // A CommonJS package: in the bundle its exports are those of `default` only.
    this.#undici ??= import('undici').then((module) => module.default);
    return await this.#undici;
  }

  /** The pool for `way`. */
  async dispatcher(way: Way): Promise<Dispatcher> {
    const { origin, tls, proxy, dialTimeoutMs } = way;
    const key = tlsFingerprint(tls) + JSON.stringify([origin, proxy, dialTimeoutMs]);
    const pool = this.#pools.get(key) ?? this.#open(way);
    this.#pools.delete(key);
    this.#pools.set(key, pool);
    const [oldest] = this.#pools;
    if (this.#pools.size > POOLS_LIMIT && oldest !== undefined) this.#retire(...oldest);
    try {
      return await pool;
    } catch (error) {
      this.#pools.delete(key); // not kept: the next request tries again
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#pools.values(), ...this.#leaving];
    this.#pools.clear();
    await Promise.allSettled(all.map(async (pool) => (await pool).destroy()));
  }

  #retire(key: string, pool: Promise<Dispatcher>): void {
    this.#pools.delete(key);
    this.#leaving.add(pool);
    const closing = async (): Promise<void> => {
      try {
        await (await pool).close();
      } catch {
        // it was never opened, or the client is being disposed of, which destroys it
      } finally {
        this.#leaving.delete(pool);
      }
    };
    void closing();
  }

  async #open(way: Way): Promise<Dispatcher> {
    const undici = await this.load();
    const timeout = way.dialTimeoutMs ?? CONNECT_TIMEOUT_MS;
    const isTls = way.origin.startsWith('https:');
    const requestTls: buildConnector.BuildOptions = {
      timeout,
      allowH2: false,
      ...(isTls ? { secureContext: await this.#trust.context(way.tls), rejectUnauthorized: way.tls.verify } : {}),
    };
    if (way.proxy === undefined) {
      return new undici.Pool(way.origin, { ...OPTIONS, connect: this.#observed(way.origin, undici.buildConnector(requestTls)) });
    }
    const isTlsProxy = way.proxy.url.startsWith('https:');
    return new undici.ProxyAgent({
      ...OPTIONS,
      uri: way.proxy.url,
      ...(way.proxy.authorization === undefined ? {} : { token: way.proxy.authorization }),
      requestTls,
      proxyTls: {
        timeout,
        allowH2: false,
        ...(isTlsProxy ? { secureContext: await this.#trust.context({ ca: way.tls.ca, client: [], verify: true }) } : {}),
      },
      // undici hands each pool its connector: through the tunnel, or to a proxy that takes plain requests.
      factory: (origin, options) => {
        const { connect } = options as { connect: buildConnector.connector };
        return new undici.Pool(origin, { ...OPTIONS, connect: this.#observed(way.origin, connect) });
      },
      clientFactory: (origin, options) => {
        const { connect } = options as { connect: buildConnector.connector };
        return new undici.Pool(origin, { ...OPTIONS, connect: byName(connect) });
      },
    });
  }

  #observed(origin: string, connect: buildConnector.connector): buildConnector.connector {
    return (options, callback) =>
      byName(connect)(options, (...[error, socket]: [null, Socket] | [Error, null]) => {
        if (error !== null) return callback(error, null);
        // TLS 1.3 refuses a client's certificate after the handshake, and undici would tell of the end that follows.
        socket.once('error', () => socket.destroy());
        this.#observe?.(origin, socket);
        callback(null, socket);
      });
  }
}

/** A server's name in TLS is never an address (RFC 6066, section 3), which undici forgets for proxies. */
function byName(connect: buildConnector.connector): buildConnector.connector {
  return ({ servername, ...options }, callback) => {
    const isName = typeof servername === 'string' && isIP(servername.replace(/^\[(.*)\]$/, '$1')) === 0;
    connect(isName ? { ...options, servername } : options, callback);
  };
}
