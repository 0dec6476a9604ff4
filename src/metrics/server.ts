/**
 * The HTTP side: GET only, a handful of paths, everything bounded. Nothing a
 * client sends is interpreted beyond method and path, so a slow or hostile
 * one costs a connection of a few, for a few seconds.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';
import type { Logger } from '../log/index.ts';

/** Connections at once: a few Prometheus servers, a browser, curl. */
const CONNECTIONS_LIMIT = 32;
const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
/** Longer than Prometheus' usual scrape interval would keep idle connections for nothing. */
const KEEP_ALIVE_MS = 30_000;
const HEADER_BYTES_LIMIT = 8 * 1024;
/** How often Node looks for connections past these two (its own default is 30 s). */
const TIMEOUTS_CHECK_MS = 5_000;
/** A client that has not read its answer by then is cut off: it holds one of the few connections. */
const RESPONSE_TIMEOUT_MS = 30_000;
/** How long a scrape under way may go on after close(). */
const CLOSE_GRACE_MS = 2_000;
/** Prometheus text exposition format. */
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const TEXT_TYPE = 'text/plain; charset=utf-8';

/** Paths and what they answer with. */
type Routes = Readonly<Record<string, () => Promise<string>>>;

/** A server that listens. */
export interface Listening {
  /** HOST:PORT as bound; the port is real also when 0 was asked for. */
  address: string;
  /** Answers what is under way, for at most two seconds, then ends. Idempotent. */
  close(): Promise<void>;
}

const ADDRESS = /^(\[([0-9A-Fa-f:.]+)\]|[^:[\]]*):(\d{1,5})$/;

/** Takes HOST:PORT, [V6]:PORT or :PORT (every address) apart; throws CONFIG_INVALID. */
function parseAddress(address: string): { host: string | undefined; port: number } {
  const match = ADDRESS.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new RuntimeError(
      'invalid',
      'CONFIG_INVALID',
      `metrics.address ${JSON.stringify(address)} is not HOST:PORT; write it as 127.0.0.1:9410`,
    );
  }
  const host = match[2] ?? match[1] ?? '';
  return { host: host === '' ? undefined : host, port };
}

function send(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, {
    'content-type': TEXT_TYPE,
    'content-length': String(Buffer.byteLength(body)),
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

async function answer(routes: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    send(response, 405, 'only GET\n', { allow: 'GET, HEAD', connection: 'close' });
    return;
  }
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) send(response, 404, `not found; try ${Object.keys(routes).join(', ')}\n`);
  else send(response, 200, await route(), path === '/healthz' ? {} : { 'content-type': METRICS_TYPE });
}

async function closeServer(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve()); // an error says that it was closed before
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Listens on HOST:PORT.
 * @throws CONFIG_INVALID (invalid) for a malformed address, (precondition) for one that cannot be bound.
 */
export async function serve(address: string, routes: Routes, log: Logger): Promise<Listening> {
  const { host, port } = parseAddress(address);
  const server = createServer(
    { maxHeaderSize: HEADER_BYTES_LIMIT, connectionsCheckingInterval: TIMEOUTS_CHECK_MS },
    (request, response) => {
      const late = setTimeout(() => request.socket.destroy(), RESPONSE_TIMEOUT_MS);
      response.once('close', () => clearTimeout(late));
      answer(routes, request, response).catch((error: unknown) => {
        log.warn({ path: request.url, err: messageOf(error) }, 'scrape failed');
        if (response.headersSent) response.destroy();
        else send(response, 500, `${messageOf(error)}\n`);
      });
    },
  );
  server.maxConnections = CONNECTIONS_LIMIT;
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ port, ...(host !== undefined && { host }) }, resolve);
  try {
    await promise;
  } catch (error) {
    const what = errnoOf(error) ?? messageOf(error);
    throw new RuntimeError(
      'precondition',
      'CONFIG_INVALID',
      `cannot listen on metrics.address ${address}: ${what}; choose a free address of this host`,
      {
        cause: error,
      },
    );
  }
  server.off('error', reject);
  server.on('error', (error) => log.warn({ err: messageOf(error) }, 'metrics server'));
  return { address: bound(server.address()), close: () => closeServer(server) };
}

function bound(address: AddressInfo | string | null): string {
  if (address === null || typeof address === 'string') return String(address);
  return `${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}
