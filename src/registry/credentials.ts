/**
 * Credentials in one form, wherever they come from. Pure. kubelet sends them
 * in any of four ways (api.proto AuthConfig), docker's config.json and its
 * helpers hold the same ones; which one counts is decided here, once. They
 * are secret: nothing here puts them into a message.
 */
import { RuntimeError } from '../errors/index.ts';

/** AuthConfig as it comes; '' is unset. */
export interface RawCredentials {
  username: string;
  password: string;
  auth: string;
  serverAddress: string;
  identityToken: string;
  registryToken: string;
}

/** How to log in. */
export type Credentials =
  | { kind: 'basic'; username: string; password: string }
  /** An OAuth2 refresh token, exchanged at the token server. */
  | { kind: 'identity'; token: string }
  /** A token for the registry itself. */
  | { kind: 'bearer'; token: string };

/** Credentials and where they were found. */
export interface FoundCredentials {
  readonly credentials: Credentials;
  /** "request", "FILE" or "FILE (helper NAME)". */
  readonly whose: string;
}

/** The user name that says that the password is a refresh token (docker-credential-helpers). */
const TOKEN_USER = '<token>';

/** What of `raw` serves for `host`; undefined is anonymous. Throws INVALID_ARGUMENT when `auth` is no base64 of NAME:PASSWORD. */
export function credentialsFor(host: string, raw: RawCredentials | undefined): Credentials | undefined {
  if (raw === undefined || (raw.serverAddress !== '' && hostNamed(raw.serverAddress) !== hostNamed(host))) return undefined;
  if (raw.username !== '' && raw.password !== '') return userCredentials(raw.username, raw.password);
  if (raw.identityToken !== '') return { kind: 'identity', token: raw.identityToken };
  if (raw.registryToken !== '') return { kind: 'bearer', token: raw.registryToken };
  if (raw.auth !== '') {
    const credentials = parseAuth(raw.auth);
    if (credentials !== undefined) return credentials;
    const message = 'the pull’s auth field is not base64 of NAME:PASSWORD; correct the image pull secret';
    throw new RuntimeError('invalid', 'INVALID_ARGUMENT', message);
  }
  return raw.username === '' ? undefined : userCredentials(raw.username, raw.password);
}

/** A name and a password, which for one special name is a refresh token. */
export const userCredentials = (username: string, password: string): Credentials =>
  username === TOKEN_USER ? { kind: 'identity', token: password } : { kind: 'basic', username, password };

/** base64 of NAME:PASSWORD, the password padded with NUL by some tools; undefined when it is not. */
export function parseAuth(auth: string): Credentials | undefined {
  const text = Buffer.from(auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : userCredentials(text.slice(0, colon), text.slice(colon + 1).replace(/\0+$/, ''));
}

/** Header value of basic credentials (RFC 7617). */
export const basicHeader = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

/** HOST[:PORT] of the forms in which a registry is named with its credentials: bare, as a URL, docker.io by any of its names. */
export function hostNamed(server: string): string {
  const [host = ''] = server.replace(/^https?:\/\//i, '').split('/');
  const name = host.toLowerCase();
  return name === 'docker.io' || name.endsWith('.docker.io') ? 'docker.io' : name;
}
