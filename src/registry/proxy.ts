/**
 * Which proxy stands between us and a URL, by the variables and rules that
 * Go programs follow (golang.org/x/net/http/httpproxy), so that what a node
 * has set for other runtimes serves berth as well. Pure. A proxy's
 * credentials are kept apart from its address, which may be shown.
 */
import { BlockList, isIP } from 'node:net';
import { RuntimeError } from '../errors/index.ts';
import { isLoopbackName } from './loopback.ts';

/** A proxy. */
export interface ProxyServer {
  /** http(s)://HOST:PORT, without credentials. */
  readonly url: string;
  /** Proxy-Authorization for it. Secret. */
  readonly authorization: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy for `url`, undefined for the direct way. Throws CONFIG_INVALID when the variable that counts is no proxy's URL. */
export function proxyFor(url: URL, env: Environment): ProxyServer | undefined {
  const [name, value] = setting(env, url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  if (value === '' || isExempt(url, setting(env, 'NO_PROXY')[1])) return undefined;
  return parseProxy(name, value);
}

/** The upper-case variable counts before the lower-case one. */
function setting(env: Environment, name: string): [name: string, value: string] {
  const upper = env[name];
  if (upper !== undefined && upper !== '') return [name, upper];
  const lower = name.toLowerCase();
  return [lower, env[lower] ?? ''];
}

function parseProxy(name: string, value: string): ProxyServer {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    // The value stays out of the message: it may hold a password.
    const message = `the variable ${name} in the daemon’s environment is not the URL of a proxy; allowed is [http://|https://][USER:PASSWORD@]HOST[:PORT]`;
    throw new RuntimeError('precondition', 'CONFIG_INVALID', message);
  }
  const { username, password } = url;
  const pair = `${decoded(username)}:${decoded(password)}`;
  return {
    url: url.origin,
    authorization: username === '' && password === '' ? undefined : `Basic ${Buffer.from(pair).toString('base64')}`,
  };
}

/** A literal % in a password is often left unescaped. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // no escape sequence: taken as it is
  }
}

/** Loopback never goes through a proxy; the rest as NO_PROXY says: `*`, names, .suffixes, addresses, networks, each with or without a port. */
function isExempt(url: URL, noProxy: string): boolean {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (isLoopbackName(host)) return true;
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return noProxy.split(',').some((entry) => covers(entry.trim().toLowerCase(), host, port));
}

function covers(entry: string, host: string, port: string): boolean {
  if (entry === '') return false;
  if (entry === '*') return true;
  if (entry.includes('/')) return isWithin(entry, host);
  const { name, port: only } = splitPort(entry);
  if (name === '' || (only !== undefined && only !== port)) return false;
  if (isIP(name) !== 0) return isIP(host) !== 0 && isWithin(`${name}/${isIP(name) === 4 ? 32 : 128}`, host);
  const suffix = name.startsWith('*.') ? name.slice(1) : name;
  return suffix.startsWith('.') ? host.endsWith(suffix) : host === suffix || host.endsWith(`.${suffix}`);
}

function splitPort(entry: string): { name: string; port: string | undefined } {
  if (isIP(entry) === 6) return { name: entry, port: undefined };
  const [, name = '', port] = /^(.*?)(?::([0-9]+))?$/.exec(entry) ?? [];
  return { name: name.replace(/^\[(.*)\]$/, '$1'), port };
}

function isWithin(network: string, host: string): boolean {
  const [address = '', length = ''] = network.split('/');
  const family = isIP(address);
  const bits = Number(length);
  if (family === 0 || isIP(host) === 0 || !/^[0-9]+$/.test(length) || bits > (family === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6');
  return list.check(host, isIP(host) === 4 ? 'ipv4' : 'ipv6');
}
