/**
 * The caller's credentials in one form. Pure. kubelet sends them in any of
 * four ways (api.proto AuthConfig); which one counts is decided here, once.
 * They are secret: nothing here puts them into a message.
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

/** What of `raw` serves for `host`; undefined is anonymous. Throws INVALID_ARGUMENT when `auth` is no base64 of NAME:PASSWORD. */
export function credentialsFor(host: string, raw: RawCredentials | undefined): Credentials | undefined {
  if (raw === undefined || !meantFor(host, raw.serverAddress)) return undefined;
  if (raw.username !== '' && raw.password !== '') return { kind: 'basic', username: raw.username, password: raw.password };
  if (raw.identityToken !== '') return { kind: 'identity', token: raw.identityToken };
  if (raw.registryToken !== '') return { kind: 'bearer', token: raw.registryToken };
  if (raw.auth === '') return undefined;
  const text = Buffer.from(raw.auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) {
    throw new RuntimeError(
      'invalid',
      'INVALID_ARGUMENT',
      'the pull’s auth field is not base64 of NAME:PASSWORD; correct the image pull secret',
    );
  }
  return { kind: 'basic', username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') };
}

/** Header value of basic credentials (RFC 7617). */
export const basicHeader = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

/** Credentials that name another server are not for this one. */
function meantFor(host: string, serverAddress: string): boolean {
  if (serverAddress === '') return true;
  const named =
    serverAddress
      .replace(/^https?:\/\//, '')
      .split('/')[0]
      ?.toLowerCase() ?? '';
  const isHub = (name: string): boolean => name === 'docker.io' || name.endsWith('.docker.io');
  return named === host || (isHub(named) && isHub(host));
}
