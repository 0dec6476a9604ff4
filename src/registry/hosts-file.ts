/**
 * A hosts file, containerd's hosts.toml: where a registry host is really
 * asked, in the file's order, and how. Pure: text in, checked entries out,
 * files it names not yet read. What is not understood is refused with file,
 * key and what is allowed, since an entry half understood sends a pull
 * somewhere nobody meant. `fallback` is the one key that is berth's own.
 */
import { resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { oneLine, RuntimeError } from '../errors/index.ts';
import { parseGoDuration } from './go-duration.ts';

/** What an endpoint may be asked for: content, what a tag means, taking content. */
export const CAPABILITIES = ['pull', 'resolve', 'push'] as const;
export type Capability = (typeof CAPABILITIES)[number];

/** How an endpoint can fail: no connection, it has not got it, it fails or is too busy, it does not let us in. */
export const FAILURES = ['connect', '404', '5xx', 'auth'] as const;
export type Failure = (typeof FAILURES)[number];

/** A client certificate, as paths; the key may be in the certificate's file. */
export interface ClientFiles {
  readonly cert: string;
  readonly key: string;
}

/** One endpoint as the file has it. */
export interface HostEntry {
  /** Where it stands in the file, to begin a key's name with: `host."https://m".`, or '' at the top. */
  readonly place: string;
  /** undefined at the top of a file without `server`: the host itself. */
  readonly url: URL | undefined;
  /** undefined when the file says nothing. */
  readonly capabilities: ReadonlySet<Capability> | undefined;
  /** After which failures the next endpoint is asked. */
  readonly fallback: ReadonlySet<Failure>;
  /** The URL's path is the API's, without /v2. */
  readonly overridePath: boolean;
  readonly ca: readonly string[];
  readonly client: readonly ClientFiles[];
  readonly skipVerify: boolean;
  /** By name in lower case. May be secret. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly dialTimeoutMs: number | undefined;
}

/** A whole file. */
export interface HostsFile {
  /** In the file's order. */
  readonly hosts: readonly HostEntry[];
  /** The top level: asked last. */
  readonly server: HostEntry;
}

/** Endpoints of one host; each may cost a time-out before a pull fails. */
const HOSTS_LIMIT = 32;
/** Longest dial_timeout, in ms: kubelet waits for a pull, and people for its error. */
const DIAL_TIMEOUT_LIMIT_MS = 300_000;

/** Characters of an error, in which names of the file's own stand. */
const PROBLEM_LIMIT = 2000;

const ENTRY_KEYS = ['capabilities', 'ca', 'client', 'skip_verify', 'override_path', 'header', 'dial_timeout'];
// RFC 9110 token and field-value
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Headers that belong to the protocol or to logging in. */
const RESERVED_HEADERS = new Set([
  'authorization',
  'content-length',
  'connection',
  'host',
  'proxy-authorization',
  'range',
  'transfer-encoding',
]);

/** Parses `text`; `file` is its absolute path, which relative paths in it start from. Throws CONFIG_INVALID. */
export function parseHostsFile(text: string, file: string): HostsFile {
  const table = parseToml(text, file);
  const top = new Reader(file, '', table, ['server', 'host', ...ENTRY_KEYS]);
  const hosts = Object.entries(top.take('host', isTable, 'tables [host."URL"]') ?? {});
  if (hosts.length > HOSTS_LIMIT) throw problem(file, `it has ${hosts.length} [host] tables; allowed are ${HOSTS_LIMIT}`);
  const server = top.take('server', isText, 'a URL');
  return {
    hosts: hosts.map(([name, value]) => {
      const place = `host.${quoted(name)}`;
      const url = parseUrl(name, file, place); // first: until then the name may hold a password
      if (!isTable(value)) throw problem(file, `${place} = ${shown(value)} is not allowed; allowed is a table [host."URL"]`);
      return entryOf(new Reader(file, `${place}.`, value, [...ENTRY_KEYS, 'fallback']), url);
    }),
    server: entryOf(top, server === undefined || server === '' ? undefined : parseUrl(server, file, 'server')),
  };
}

/** An entry that says nothing: what holds where there is no file. */
export function plainEntry(files: Pick<HostEntry, 'ca' | 'client'>): HostEntry {
  const rest = { url: undefined, capabilities: undefined, overridePath: false, skipVerify: false, headers: {}, dialTimeoutMs: undefined };
  return { ...rest, ...files, place: '', fallback: new Set(FAILURES) };
}

/** Error of a file that cannot be followed. */
export function problem(file: string, why: string, cause?: unknown): RuntimeError {
  return new RuntimeError(
    'precondition',
    'CONFIG_INVALID',
    `${file}: ${oneLine(why, PROBLEM_LIMIT)}`,
    cause === undefined ? {} : { cause },
  );
}

function entryOf(reader: Reader, url: URL | undefined): HostEntry {
  return {
    place: reader.place,
    url,
    capabilities: capabilitiesOf(reader),
    fallback: fallbackOf(reader),
    overridePath: reader.take('override_path', isFlag, 'true or false') ?? false,
    ca: reader.paths('ca'),
    client: reader.client(),
    skipVerify: reader.take('skip_verify', isFlag, 'true or false') ?? false,
    headers: reader.headers(),
    dialTimeoutMs: reader.dialTimeoutMs(),
  };
}

/** An empty list says nothing, as with containerd. */
function capabilitiesOf(reader: Reader): ReadonlySet<Capability> | undefined {
  const given = reader.words('capabilities', CAPABILITIES);
  return given?.size === 0 ? undefined : given;
}

function fallbackOf(reader: Reader): ReadonlySet<Failure> {
  if (reader.value('fallback') === 'never') return new Set();
  return reader.words('fallback', FAILURES, '"never" or ') ?? new Set(FAILURES);
}

/** One table of the file. */
class Reader {
  readonly place: string;
  readonly #file: string;
  readonly #table: Record<string, unknown>;

  constructor(file: string, place: string, table: Record<string, unknown>, keys: readonly string[]) {
    this.#file = file;
    this.place = place;
    this.#table = table;
    const unknown = Object.keys(table).find((key) => !keys.includes(key));
    if (unknown !== undefined) throw problem(file, `${place}${unknown} is not a key; allowed are ${keys.join(', ')}`);
  }

  value(key: string): unknown {
    return this.#table[key];
  }

  take<T>(key: string, test: (value: unknown) => value is T, allowed: string): T | undefined {
    const value = this.#table[key];
    if (value === undefined) return undefined;
    if (!test(value)) throw this.#refused(key, value, allowed);
    return value;
  }

  /** A set of words; case does not matter. */
  words<W extends string>(key: string, words: readonly W[], before = ''): ReadonlySet<W> | undefined {
    const allowed = `${before}a list out of ${words.map((word) => `"${word}"`).join(', ')}`;
    const given = this.take(key, isTexts, allowed)?.map((text) => text.toLowerCase());
    const known = given?.flatMap((text) => words.filter((word) => word === text));
    if (known?.length !== given?.length) throw this.#refused(key, this.#table[key], allowed);
    return known === undefined ? undefined : new Set(known);
  }

  /** One path or several, made absolute. */
  paths(key: string): string[] {
    const value = this.take(key, isTextOrTexts, 'a path or a list of paths') ?? [];
    return (typeof value === 'string' ? [value] : value).map((path) => this.#path(key, path));
  }

  client(): ClientFiles[] {
    const allowed = 'a path, or a list of paths and of pairs [CERTIFICATE, KEY]';
    const value = this.#table.client ?? [];
    const items = typeof value === 'string' ? [value] : value;
    if (!Array.isArray(items)) throw this.#refused('client', value, allowed);
    return items.map((item: unknown) => {
      const [cert, key = '', ...more] = typeof item === 'string' ? [item] : isTexts(item) ? item : [];
      if (cert === undefined || more.length > 0) throw this.#refused('client', value, allowed);
      const path = this.#path('client', cert);
      return { cert: path, key: key === '' ? path : this.#path('client', key) };
    });
  }

  headers(): Record<string, readonly string[]> {
    const table = this.take('header', isTable, `a table [${this.place}header]`) ?? {};
    const headers = Object.entries(table).map(([name, value]): [string, string[]] => {
      const values = typeof value === 'string' ? [value] : value;
      // A header's value may be a secret: it is not shown.
      if (!isTexts(values) || !values.every((text) => HEADER_VALUE.test(text)))
        throw problem(this.#file, `${this.place}header.${name} is not allowed; allowed is a text or a list of texts without line breaks`);
      if (!HEADER_NAME.test(name) || RESERVED_HEADERS.has(name.toLowerCase()))
        throw problem(this.#file, `${this.place}header.${name} is not allowed; allowed are header names that berth does not set itself`);
      return [name.toLowerCase(), values];
    });
    return Object.fromEntries(headers);
  }

  dialTimeoutMs(): number | undefined {
    const allowed = `a duration up to ${DIAL_TIMEOUT_LIMIT_MS / 1000}s, such as "3s" or "1m30s"`;
    const text = this.take('dial_timeout', isText, allowed);
    const milliseconds = text === undefined ? undefined : (parseGoDuration(text) ?? -1);
    if (milliseconds !== undefined && (milliseconds < 0 || milliseconds > DIAL_TIMEOUT_LIMIT_MS))
      throw this.#refused('dial_timeout', text, allowed);
    return milliseconds === 0 ? undefined : milliseconds; // 0 is no time-out of its own
  }

  #path(key: string, path: string): string {
    if (path === '' || path.includes('\0')) throw this.#refused(key, path, 'a path');
    return resolve(this.#file, '..', path);
  }

  #refused(key: string, value: unknown, allowed: string): RuntimeError {
    return problem(this.#file, `${this.place}${key} = ${shown(value)} is not allowed; allowed is ${allowed}`);
  }
}

function parseToml(text: string, file: string): Record<string, unknown> {
  try {
    return parse(text, { unsafeKeyBehaviour: 'throw' });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw problem(file, `line ${error.line}, column ${error.column} is not TOML: ${error.message.split('\n')[0]}`, error);
  }
}

function parseUrl(text: string, file: string, key: string): URL {
  const full = text.includes('://') ? text : `https://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url !== undefined && (url.username !== '' || url.password !== ''))
    throw problem(
      file,
      `${key.startsWith('host.') ? 'a [host] table' : key} has credentials in its URL; allowed are none: docker’s config.json holds them`,
    );
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '' || url.search !== '' || url.hash !== '')
    throw problem(
      file,
      `${key === 'server' ? `server = ${quoted(text)}` : key} is not allowed; allowed is [http://|https://]HOST[:PORT][/PATH]`,
    );
  return url;
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isFlag = (value: unknown): value is boolean => typeof value === 'boolean';
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);
const isTextOrTexts = (value: unknown): value is string | string[] => isText(value) || isTexts(value);
const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);

const quoted = (text: string): string => JSON.stringify(text);

/** A value as the user would have written it, cut to a readable length. */
function shown(value: unknown): string {
  const words = JSON.stringify(value) ?? String(value);
  return words.length > 80 ? `${words.slice(0, 77)}...` : words;
}
