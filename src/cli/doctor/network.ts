/** Can pods be connected: by the CNI configuration where there is one, else by the embedded bridge? */
import { readdirSync, readFileSync } from 'node:fs';
import { BlockList } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../config/index.ts';
import { errnoOf, messageOf } from '../../errors/index.ts';
import { findProgram } from '../../sys/index.ts';
import { type Check, type CheckGroup, type DoctorContext, fail, ok, warn } from './check.ts';

type NetworkConfig = Config['network'];

export const networkChecks: CheckGroup = {
  name: 'network',
  run({ config }: DoctorContext): Check[] {
    const { network } = config;
    const file = firstCniFile(network.cniConfDir);
    if (file !== undefined) return cniChecks(file, network);
    if (network.embedded) return embeddedChecks(network);
    const advice = 'put a CNI configuration there, or set network.embedded = true';
    return [
      fail('network.configuration', `there is no CNI configuration in ${network.cniConfDir}, and the embedded network is off`, advice),
    ];
  },
};

/** The configuration that counts: the first in lexical order with one of CNI's suffixes. */
function firstCniFile(dir: string): string | undefined {
  try {
    const [name] = readdirSync(dir)
      .filter((each) => /\.(conflist|conf|json)$/.test(each))
      .sort();
    return name === undefined ? undefined : join(dir, name);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function cniChecks(file: string, network: NetworkConfig): Check[] {
  try {
    const plugins = cniPlugins(readFileSync(file, 'utf8'));
    return [ok('network.configuration', `CNI configuration ${file} (${plugins.join(', ')})`), pluginCheck(plugins, network.cniBinDirs)];
  } catch (error) {
    return [fail('network.configuration', `${file} is not a CNI configuration: ${messageOf(error)}`, 'correct or remove it')];
  }
}

/** Types of the plugins of a configuration (list or single). Throws in words when it is none. */
export function cniPlugins(text: string): string[] {
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== 'object' || parsed === null) throw new Error('it is not a JSON object');
  const list: unknown = 'plugins' in parsed ? parsed.plugins : [parsed];
  if (!Array.isArray(list) || list.length === 0) throw new Error('it has no plugins');
  return list.map((plugin: unknown) => {
    if (typeof plugin === 'object' && plugin !== null && 'type' in plugin && typeof plugin.type === 'string') return plugin.type;
    throw new Error('a plugin has no type');
  });
}

function pluginCheck(plugins: readonly string[], binDirs: readonly string[]): Check {
  const missing = plugins.filter((plugin) => !binDirs.some((dir) => findProgram(join(dir, plugin)) !== undefined));
  if (missing.length === 0) return ok('network.plugins', 'every CNI plugin it names is installed');
  const advice = 'install them (Debian: apt install containernetworking-plugins) or name their directory in network.cni_bin_dirs';
  return fail('network.plugins', `not found in ${binDirs.join(', ')}: ${missing.join(', ')}`, advice);
}

function embeddedChecks(network: NetworkConfig): Check[] {
  const nft = findProgram('nft');
  return [
    ok(
      'network.configuration',
      `no CNI configuration in ${network.cniConfDir}: the embedded bridge ${network.bridge} serves ${network.podCidr}`,
    ),
    nft === undefined
      ? fail('network.nft', 'nft is not installed: no masquerading and no published ports', 'install it (Debian: apt install nftables)')
      : ok('network.nft', nft),
    forwardingCheck(),
    overlapCheck(network, ownAddresses(network.bridge)),
  ];
}

function forwardingCheck(): Check {
  const on = readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim() === '1';
  return ok('network.forwarding', on ? 'net.ipv4.ip_forward is 1' : 'net.ipv4.ip_forward is 0; berth sets it with the first pod');
}

/** An address of this node. */
interface Address {
  readonly name: string;
  readonly address: string;
  readonly family: 'ipv4' | 'ipv6';
}

function ownAddresses(bridge: string): Address[] {
  const found = Object.entries(networkInterfaces()).filter(([name]) => name !== bridge);
  return found.flatMap(([name, addresses]) =>
    (addresses ?? []).map(({ address, family }) => ({ name, address, family: family === 'IPv6' ? ('ipv6' as const) : ('ipv4' as const) })),
  );
}

/** Does the pod network cover an address of the node? */
export function overlapCheck({ podCidr }: Pick<NetworkConfig, 'podCidr'>, addresses: readonly Address[]): Check {
  const pods = new BlockList();
  for (const cidr of podCidr.split(',')) {
    const [network = '', length = ''] = cidr.trim().split('/');
    pods.addSubnet(network, Number(length), network.includes(':') ? 'ipv6' : 'ipv4');
  }
  const inside = addresses.find(({ address, family }) => pods.check(address, family));
  if (inside === undefined) return ok('network.pod-cidr', `${podCidr} covers no address of this node`);
  return warn(
    'network.pod-cidr',
    `${podCidr} covers ${inside.address} of ${inside.name}`,
    'set network.pod_cidr to a network that is not in use',
  );
}
