/**
 * Docker's config.json, the part about credentials. Pure. An entry is looked
 * at only when its host is asked for, so that a broken one stands in nobody
 * else's way; what is broken is named by file and key, never by value.
 */
import { RuntimeError } from '../errors/index.ts';
import { type Credentials, hostNamed, parseAuth, userCredentials } from './credentials.ts';

/** Where the file sends us for a host. */
export interface DockerEntry {
  /** Helper of the host itself (credHelpers); asked first. */
  readonly ownHelper: string | undefined;
  /** In the file. */
  readonly credentials: Credentials | undefined;
  /** Helper for all hosts (credsStore); asked last. */
  readonly store: string | undefined;
}

/** A parsed file. */
export interface DockerConfig {
  readonly file: string;
  readonly auths: Readonly<Record<string, unknown>>;
  readonly credHelpers: Readonly<Record<string, unknown>>;
  readonly credsStore: unknown;
}

/** A helper's name becomes a program's: docker-credential-NAME. */
const HELPER = /^[A-Za-z0-9._-]+$/;

/** Parses `text` of `file`. Throws CONFIG_INVALID. */
export function parseDockerConfig(text: string, file: string): DockerConfig {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw malformed(file, 'it is not JSON'); // without the parser's words, which quote the text
  }
  if (!isTable(document)) throw malformed(file, 'it is not a JSON object');
  const { auths = {}, credHelpers = {}, credsStore } = document;
  if (!isTable(auths)) throw malformed(file, 'auths is not an object');
  if (!isTable(credHelpers)) throw malformed(file, 'credHelpers is not an object');
  return { file, auths, credHelpers, credsStore };
}

/** What the file says for `host`. Throws CONFIG_INVALID when that cannot be used. */
export function dockerEntry(config: DockerConfig, host: string): DockerEntry {
  const { file, auths, credHelpers, credsStore } = config;
  const [helperKey, helper] = find(credHelpers, host) ?? [];
  const [authKey, auth] = find(auths, host) ?? [];
  return {
    ownHelper: helperName(file, `credHelpers.${JSON.stringify(helperKey)}`, helper),
    credentials: auth === undefined ? undefined : entryCredentials(file, `auths.${JSON.stringify(authKey)}`, auth),
    store: helperName(file, 'credsStore', credsStore),
  };
}

/** The entry of that very name, else the first that names the host in another form. */
function find(table: Readonly<Record<string, unknown>>, host: string): [key: string, value: unknown] | undefined {
  const wanted = hostNamed(host);
  const entries = Object.entries(table);
  return entries.find(([key]) => key === host) ?? entries.find(([key]) => hostNamed(key) === wanted);
}

function helperName(file: string, key: string, value: unknown): string | undefined {
  if (value === undefined || value === '') return undefined;
  if (typeof value === 'string' && HELPER.test(value)) return value;
  throw malformed(file, `${key} is not the name of a helper: letters, digits, “.”, “_” and “-”`);
}

/** A refresh token counts before the name and password that docker keeps beside it. */
function entryCredentials(file: string, key: string, value: unknown): Credentials | undefined {
  if (!isTable(value)) throw malformed(file, `${key} is not an object`);
  const { identitytoken, registrytoken, auth, username, password } = value;
  if (isFilled(identitytoken)) return { kind: 'identity', token: identitytoken };
  if (isFilled(registrytoken)) return { kind: 'bearer', token: registrytoken };
  if (isFilled(auth)) {
    const credentials = parseAuth(auth);
    if (credentials === undefined) throw malformed(file, `${key}.auth is not base64 of NAME:PASSWORD`);
    return credentials;
  }
  return isFilled(username) ? userCredentials(username, isFilled(password) ? password : '') : undefined;
}

const isFilled = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isTable = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function malformed(file: string, why: string): RuntimeError {
  return new RuntimeError(
    'precondition',
    'CONFIG_INVALID',
    `${file}: ${why}; correct it, docker login writes it, or set images.docker_config to another file`,
  );
}
