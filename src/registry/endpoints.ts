/**
 * Where a registry host is really asked: the mirrors of its hosts file in
 * order, then the host itself. Pure. The credentials of a pull belong to the
 * host that the reference names and are never shown to a mirror.
 */
import { type Capability, FAILURES, type Failure, type HostEntry } from './hosts-file.ts';
import { isLoopbackHost } from './loopback.ts';
import { NO_TLS_SETTINGS, type TlsSettings } from './trust.ts';

/** One place to ask. */
export interface Endpoint {
  /** http(s)://HOST[:PORT][/PATH], without a slash at the end: how it is named to people. */
  readonly url: string;
  /** What /REPOSITORY/manifests/... follows. */
  readonly api: string;
  /** It is the host itself, which may see the credentials of the pull. */
  readonly own: boolean;
  /** Asked under another name than its own, a registry that stands for several is told which one is meant (`?ns=HOST`). */
  readonly namespace: string | undefined;
  /** The file that names it, or "default". */
  readonly source: string;
  readonly capabilities: ReadonlySet<Capability>;
  /** After which failures the next one is asked. */
  readonly fallback: ReadonlySet<Failure>;
  /** Sent to it and to nobody else; may be secret. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly tls: TlsSettings;
  /** undefined is the client's own. */
  readonly dialTimeoutMs: number | undefined;
}

/** An entry and what its files hold. */
interface LoadedEntry {
  readonly entry: HostEntry;
  readonly tls: TlsSettings;
}

/** What a file or directory says about a host. */
export interface ConfiguredHost {
  /** Its path. */
  readonly source: string;
  /** It holds for every host without a file of its own. */
  readonly isDefault: boolean;
  readonly hosts: readonly LoadedEntry[];
  readonly server: LoadedEntry;
}

/** docker.io is a name, not a machine. */
const MACHINES: Readonly<Record<string, string>> = { 'docker.io': 'registry-1.docker.io' };

/** A mirror takes nothing unless its file says so; the host itself takes images too. */
const MIRROR_CAPABILITIES: ReadonlySet<Capability> = new Set(['pull', 'resolve']);
const OWN_CAPABILITIES: ReadonlySet<Capability> = new Set(['pull', 'resolve', 'push']);

/** The endpoints of `host`, in the order to ask them. */
export function endpointsOf(host: string, configured: ConfiguredHost | undefined): Endpoint[] {
  if (configured === undefined) return [ownEndpoint(host)];
  const { source, isDefault, hosts, server } = configured;
  const mirrors = hosts.map(({ entry, tls }) => {
    const url = entry.url ?? new URL(`https://${host}`);
    return endpointAt(host, url, { entry, tls, source, own: isAt(url, host) });
  });
  const url = server.entry.url ?? new URL(ownUrl(host, isTlsMeant(server)));
  // A server for every host is not the one that a reference means, unless it happens to be.
  const own = !isDefault || isAt(url, host);
  const endpoints = [...mirrors, endpointAt(host, url, { ...server, source, own })];
  return endpoints.filter(({ api }, at) => endpoints.findIndex((each) => each.api === api) === at);
}

function ownEndpoint(host: string): Endpoint {
  const url = ownUrl(host, false);
  return {
    url,
    api: `${url}/v2`,
    own: true,
    namespace: undefined,
    source: 'default',
    capabilities: OWN_CAPABILITIES,
    fallback: new Set(FAILURES),
    headers: {},
    tls: NO_TLS_SETTINGS,
    dialTimeoutMs: undefined,
  };
}

interface Origin extends LoadedEntry {
  readonly source: string;
  readonly own: boolean;
}

function endpointAt(host: string, url: URL, { entry, tls, source, own }: Origin): Endpoint {
  const path = url.pathname.replace(/\/+$/, '');
  const base = `${url.protocol}//${MACHINES[url.host] ?? url.host}${path}`;
  return {
    url: base,
    api: entry.overridePath || path.endsWith('/v2') ? base : `${base}/v2`,
    own,
    namespace: isAt(url, host) ? undefined : host,
    source,
    capabilities: entry.capabilities ?? (own ? OWN_CAPABILITIES : MIRROR_CAPABILITIES),
    fallback: entry.fallback,
    headers: entry.headers,
    tls,
    dialTimeoutMs: entry.dialTimeoutMs,
  };
}

const ownUrl = (host: string, isTls: boolean): string => `${isLoopbackHost(host) && !isTls ? 'http' : 'https'}://${MACHINES[host] ?? host}`;

/** Whoever gives a host certificates wants TLS, on loopback too. */
const isTlsMeant = ({ tls }: LoadedEntry): boolean => tls.ca.length > 0 || tls.client.length > 0 || !tls.verify;

/** Does `url` lead to the machine that `host` names? */
function isAt(url: URL, host: string): boolean {
  const address = (text: URL): string => `${text.hostname}:${text.port === '' ? (text.protocol === 'https:' ? '443' : '80') : text.port}`;
  const machine = MACHINES[host] ?? host;
  const actual = new URL(`${url.protocol}//${MACHINES[url.host] ?? url.host}`);
  const wanted = `${url.protocol}//${machine}`;
  return URL.canParse(wanted) && address(actual) === address(new URL(wanted));
}
