/**
 * The text of the one nftables table of the embedded network, made whole from
 * what is stored: masquerade for pods going out, host ports coming in. Pure.
 * The text deletes and makes the table in one `nft -f` transaction, so there
 * is no moment without rules, and names no other table.
 *
 *   guard        nothing from a pod may reach the host's 127.0.0.0/8, which
 *                route_localnet on the bridge (for 127.0.0.1:PORT) would allow
 *   ports        one destination rewrite per host port; for packets from
 *                outside (prerouting) and from the host itself (output)
 *   hairpin      a pod that calls a host port and lands on its own bridge must
 *                see the answer from the host, so its source is rewritten too;
 *                narrowed by the original port so that other address
 *                translation (kube-proxy's services) keeps the client address
 *   postrouting  the host's loopback as a source, and pods going out
 */
import type { PortMapping } from '../types.ts';
import { type Address, formatAddress, formatSubnet, parseAddress, type Subnet } from './cidr.ts';

/** One published port set of a pod. */
export interface PublishedPod {
  /** NAMESPACE/NAME, for the reader of `nft list`. */
  name: string;
  addresses: Address[];
  portMappings: PortMapping[];
}

/** All that the table is made from. */
export interface RulesetInput {
  bridge: string;
  subnets: Subnet[];
  pods: PublishedPod[];
}

const BERTH_DEFAULT_BRIDGE = 'berth0';
const IP = { 4: 'ip', 6: 'ip6' } as const;
const MULTICAST = { 4: '224.0.0.0/4', 6: 'ff00::/8' } as const;
/** NFTNL_UDATA_COMMENT_MAXLEN of nft: longer comments are refused. */
const COMMENT_MAX = 127;

/** The table of a bridge: `berth` for the default bridge, one of its own for any other, so that two berths do not meet. */
export function tableOf(bridge: string): string {
  return bridge === BERTH_DEFAULT_BRIDGE ? 'berth' : `berth_${bridge}`;
}

/** Input of `nft -f -` that replaces the table. */
export function rulesetText(input: RulesetInput): string {
  const rules = input.pods.flatMap((pod) => portRules(pod, input.subnets));
  return `${dropTableText(input.bridge)}table inet ${tableOf(input.bridge)} {
${chain('guard', 'type filter hook prerouting priority -300; policy accept;', [`iifname "${input.bridge}" ip daddr 127.0.0.0/8 drop`])}
${chain(
  'ports',
  undefined,
  rules.map((rule) => rule.rewrite),
)}
${chain('prerouting', 'type nat hook prerouting priority -100; policy accept;', ['fib daddr type local jump ports'])}
${chain('output', 'type nat hook output priority -100; policy accept;', ['fib daddr type local jump ports'])}
${chain(
  'hairpin',
  undefined,
  rules.flatMap((rule) => rule.hairpins),
)}
${chain('postrouting', 'type nat hook postrouting priority 100; policy accept;', [
  'ct status dnat jump hairpin',
  `oifname "${input.bridge}" ip saddr 127.0.0.0/8 masquerade`,
  ...input.subnets.map(outgoingRule(input.bridge)),
])}
}
`;
}

/** Input of `nft -f -` that removes the table, whether it is there or not. */
export function dropTableText(bridge: string): string {
  return `table inet ${tableOf(bridge)}\ndelete table inet ${tableOf(bridge)}\n`;
}

function chain(name: string, hook: string | undefined, rules: string[]): string {
  const lines = hook === undefined ? rules : [hook, ...rules];
  return `  chain ${name} {\n${lines.map((line) => `    ${line}\n`).join('')}  }`;
}

const outgoingRule = (bridge: string) => (subnet: Subnet) => {
  const ip = IP[subnet.family];
  return `${ip} saddr ${formatSubnet(subnet)} oifname != "${bridge}" ${ip} daddr != ${MULTICAST[subnet.family]} masquerade`;
};

interface PortRule {
  rewrite: string;
  /** One for each subnet, since overlapping ones cannot be in one set. */
  hairpins: string[];
}

/** The rules of a pod's ports; a mapping with a host address serves that address' family only. */
function portRules(pod: PublishedPod, subnets: Subnet[]): PortRule[] {
  const rules: PortRule[] = [];
  for (const { protocol, hostPort, containerPort, hostIp } of pod.portMappings) {
    const host = hostIp === '' ? undefined : parseAddress(hostIp);
    const anyHost = host === undefined || host.value === 0n; // 0.0.0.0 and :: are every address of their family
    for (const address of pod.addresses) {
      if (host !== undefined && host.family !== address.family) continue;
      const ip = IP[address.family];
      const text = formatAddress(address);
      const target = address.family === 4 ? `${text}:${containerPort}` : `[${text}]:${containerPort}`;
      const match = anyHost ? `meta nfproto ipv${address.family}` : `${ip} daddr ${formatAddress(host)}`;
      const own = subnets.filter((subnet) => subnet.family === address.family);
      const landed = `${ip} daddr ${text} ${protocol} dport ${containerPort} ct original proto-dst ${hostPort} masquerade`;
      rules.push({
        rewrite: `${match} ${protocol} dport ${hostPort} dnat ${ip} to ${target} comment "${comment(pod.name)}"`,
        hairpins: own.map((subnet) => `${ip} saddr ${formatSubnet(subnet)} ${landed}`),
      });
    }
  }
  return rules;
}

/** A comment nft takes: no quotes or control characters, bounded. */
function comment(text: string): string {
  return text.replace(/[^\w./:-]/g, '_').slice(0, COMMENT_MAX);
}
