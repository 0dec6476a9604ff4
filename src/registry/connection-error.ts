/**
 * Why no answer came, in a few stable words: without addresses and ports of
 * our side, which change from one attempt to the next, and without anything
 * secret. What is not worth a second try is told apart.
 */
import { errnoOf, messageOf } from '../errors/index.ts';

/** No answer came, or not a whole one: name, connection, proxy, TLS or protocol. */
export class ConnectionError extends Error {
  /** Asking again may help. */
  readonly transient: boolean;

  constructor(cause: unknown, transient?: boolean) {
    const { words, lasting } = explain(cause);
    super(words, { cause });
    this.name = 'ConnectionError';
    this.transient = transient ?? !lasting;
  }
}

/** What came is nothing to go on with, and will not be the next time either. */
export const unacceptable = (words: string): ConnectionError => new ConnectionError(new Error(words), false);

interface Explanation {
  words: string;
  /** It stays as it is until somebody changes something, or has cost so much time that once is enough. */
  lasting?: boolean;
}

const NOT_TLS = 'it does not speak TLS (if that is meant, its hosts file says http://)';
const UNKNOWN_AUTHORITY = 'its TLS certificate is signed by an unknown authority (its hosts file can name one with ca)';
/** What the other side says of a client's certificate (RFC 8446, 6.2); old servers say "bad" of none at all. */
const CLIENT_ALERT = /_ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED|ACCESS_DENIED)$/;
const CLIENT_WORDS = 'it wants a client certificate that it knows (its hosts file can name one with client)';

const EXPLANATIONS: Readonly<Record<string, Explanation>> = {
  ECONNREFUSED: { words: 'connection refused' },
  ECONNRESET: { words: 'connection reset' },
  EPIPE: { words: 'the connection broke' },
  ETIMEDOUT: { words: 'no connection in time', lasting: true },
  EHOSTUNREACH: { words: 'host unreachable' },
  ENETUNREACH: { words: 'network unreachable' },
  ENOTFOUND: { words: 'its name cannot be resolved', lasting: true },
  EAI_AGAIN: { words: 'its name cannot be resolved at the moment' },
  UND_ERR_CONNECT_TIMEOUT: { words: 'no connection in time', lasting: true },
  UND_ERR_HEADERS_TIMEOUT: { words: 'no answer in time', lasting: true },
  UND_ERR_HEADERS_OVERFLOW: { words: 'the head of its answer is too long', lasting: true },
  UND_ERR_SOCKET: { words: 'the connection broke' },
  UND_ERR_PRX_CONN: { words: 'the proxy broke the connection' },
  UND_ERR_PRX_TLS: { words: 'the TLS certificate of the proxy is for another name', lasting: true },
  ERR_SSL_WRONG_VERSION_NUMBER: { words: NOT_TLS, lasting: true },
  ERR_SSL_PACKET_LENGTH_TOO_LONG: { words: NOT_TLS, lasting: true },
  DEPTH_ZERO_SELF_SIGNED_CERT: { words: 'its TLS certificate is self-signed (its hosts file can name it with ca)', lasting: true },
  SELF_SIGNED_CERT_IN_CHAIN: { words: UNKNOWN_AUTHORITY, lasting: true },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: { words: UNKNOWN_AUTHORITY, lasting: true },
  UNABLE_TO_GET_ISSUER_CERT: { words: UNKNOWN_AUTHORITY, lasting: true },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: { words: UNKNOWN_AUTHORITY, lasting: true },
  CERT_HAS_EXPIRED: { words: 'its TLS certificate has expired', lasting: true },
  CERT_NOT_YET_VALID: { words: 'its TLS certificate is not valid yet: compare the clocks', lasting: true },
  ERR_TLS_CERT_ALTNAME_INVALID: { words: 'its TLS certificate is for another name', lasting: true },
};

function explain(error: unknown): { words: string; lasting: boolean } {
  if (error instanceof AggregateError && error.errors.length > 0) return explain(error.errors[0]);
  const message = messageOf(error);
  const proxied =
    /^Proxy response \(([0-9]{3})\)/.exec(message)?.[1] ?? (message.startsWith('Proxy Authentication Required') ? '407' : undefined);
  if (proxied !== undefined) return ofProxy(proxied);
  const code = errnoOf(error) ?? '';
  const known = EXPLANATIONS[code];
  if (known !== undefined) return { words: `${known.words} (${code})`, lasting: known.lasting === true };
  if (CLIENT_ALERT.test(code)) return { words: `${CLIENT_WORDS} (${code})`, lasting: true };
  if (error instanceof Error && error.name === 'HTTPParserError') return { words: 'it does not speak HTTP', lasting: true };
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') return { words: `TLS failed (${code})`, lasting: true };
  return { words: message, lasting: false };
}

function ofProxy(status: string): { words: string; lasting: boolean } {
  if (status === '407') return { words: 'the proxy wants other credentials (407)', lasting: true };
  return { words: `the proxy does not connect to it (${status})`, lasting: status === '403' };
}
