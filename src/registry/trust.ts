/**
 * Whom a TLS connection trusts and who it says it is. The system's
 * authorities always count, an endpoint's own ones in addition. Parsing a
 * hundred certificates takes the main thread some 20 ms, so a context is made
 * once for equal settings and kept.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';

/** TLS as an endpoint wants it; PEM texts. The keys are secret. */
export interface TlsSettings {
  /** Trusted in addition to the system's. */
  readonly ca: readonly string[];
  readonly client: readonly { readonly cert: string; readonly key: string }[];
  /** false takes any certificate. */
  readonly verify: boolean;
}

/** Of an endpoint without any. */
export const NO_TLS_SETTINGS: TlsSettings = { ca: [], client: [], verify: true };

/** Where systems keep their authorities, in one file (Debian, Fedora, openSUSE, Alpine); SSL_CERT_FILE names another. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** Contexts kept; a node talks to a handful of registries. */
const CONTEXTS_LIMIT = 32;

const fingerprints = new WeakMap<TlsSettings, string>();

/** A short name of equal settings, which tells nothing of them. */
export function tlsFingerprint(settings: TlsSettings): string {
  const known = fingerprints.get(settings) ?? createHash('sha256').update(JSON.stringify(settings)).digest('hex');
  fingerprints.set(settings, known);
  return known;
}

/** What holds for another origin that an endpoint leads to: who we are is its own business. */
export const withoutClient = (settings: TlsSettings): TlsSettings =>
  settings.client.length === 0 ? settings : { ...settings, client: [] };

export class Trust {
  readonly #contexts = new Map<string, SecureContext>();
  /** Read once in the life of the process, as Go does. */
  #system: Promise<string | undefined> | undefined;

  /** The context for `settings`. Its files were checked when they were read. */
  async context(settings: TlsSettings): Promise<SecureContext> {
    this.#system ??= systemAuthorities();
    const system = (await this.#system) ?? rootCertificates.join('\n');
    const { ca, client } = settings;
    const key = tlsFingerprint({ ca, client, verify: true });
    const known = this.#contexts.get(key);
    if (known !== undefined) return known;
    const made = createSecureContext({
      ca: [system, ...ca],
      ...(client.length === 0 ? {} : { cert: client.map(({ cert }) => cert), key: client.map(({ key }) => key) }),
    });
    const [oldest] = this.#contexts.keys();
    if (this.#contexts.size >= CONTEXTS_LIMIT && oldest !== undefined) this.#contexts.delete(oldest);
    this.#contexts.set(key, made);
    return made;
  }
}

/** undefined where the system has none: then Node's own list counts. */
async function systemAuthorities(): Promise<string | undefined> {
  const { SSL_CERT_FILE: named } = process.env;
  for (const path of named === undefined || named === '' ? BUNDLES : [named]) {
    const pem = await readFile(path, 'utf8').catch(() => ''); // not there: the next one
    if (pem.includes('BEGIN CERTIFICATE')) return pem;
  }
  return undefined;
}
