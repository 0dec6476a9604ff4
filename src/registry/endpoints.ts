/**
 * Where a registry host is really asked: its mirrors in order, then the host
 * itself. Pure. Credentials belong to the host that the reference names and
 * are never shown to a mirror.
 */
import type { RegistryHostConfig } from '../config/index.ts';

/** One place to ask. */
export interface Endpoint {
  /** http(s)://HOST[:PORT][/PATH], without a slash at the end. */
  readonly base: string;
  /** It is the host itself, which may see the caller's credentials. */
  readonly own: boolean;
}

/** docker.io is a name, not a machine. */
const API_HOSTS: Readonly<Record<string, string>> = { 'docker.io': 'registry-1.docker.io' };

/** The endpoints of `host`, in the order to try them. */
export function endpointsOf(host: string, registries: readonly RegistryHostConfig[]): Endpoint[] {
  const config = registries.find((entry) => entry.host.toLowerCase() === host);
  const mirrors = (config?.mirrors ?? []).map((url): Endpoint => ({ base: url.replace(/\/+$/, ''), own: false }));
  const plain = config === undefined ? isLoopback(host) : config.plainHttp;
  return [...mirrors, { base: `${plain ? 'http' : 'https'}://${API_HOSTS[host] ?? host}`, own: true }];
}

/** localhost, 127.0.0.0/8 or ::1, with or without a port: what listens there is this machine's own. */
export function isLoopback(host: string): boolean {
  const name = host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.replace(/:[0-9]+$/, '');
  return name === 'localhost' || name === '::1' || /^127(?:\.[0-9]{1,3}){3}$/.test(name);
}
