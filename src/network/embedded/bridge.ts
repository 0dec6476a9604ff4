/**
 * The bridge of the embedded network and the pods' ends of it, by rtnetlink.
 * The bridge carries a hardware address derived from its name, from the
 * moment it exists: that is how berth knows it as its own, and a link of the
 * same name that somebody else made is refused, never changed or removed.
 * Every function is synchronous and idempotent where the kernel allows.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { errnoOf, messageOf, RuntimeError } from '../../errors/index.ts';
import { inNamespaces, type Link, RouteSocket, SysError } from '../../sys/index.ts';
import { POD_INTERFACE } from '../attachments.ts';
import { type Address, addressOf, bytesOf, formatAddress, formatSubnet, gatewayOf, overlap, type Subnet, subnetOf } from './cidr.ts';
import { setSysctl, setSysctlIfPresent } from './sysctls.ts';

/** The bridge as configured. */
export interface BridgeConfig {
  bridge: string;
  mtu: number;
}

/** One address of a pod with the network it lies in. */
export interface PodAddress {
  address: Address;
  subnet: Subnet;
}

const HOST_LINK_PREFIX = 'bth';
/** Hex digits of the sandbox id in the name of its link: with the prefix, the 15 characters of IFNAMSIZ - 1. */
const HOST_LINK_DIGITS = 12;

/** Name of the near end of a pod's veth pair. */
export const hostLinkName = (sandboxId: string): string => `${HOST_LINK_PREFIX}${sandboxId.slice(0, HOST_LINK_DIGITS)}`;

const failed = (step: string, cause: unknown): RuntimeError =>
  new RuntimeError(
    'internal',
    'NETWORK_FAILED',
    `${step} failed: ${messageOf(cause)}; see dmesg, and \`ip link\` and \`ip route\` for what is in the way`,
    {
      cause,
    },
  );

/** Runs a step of rtnetlink and names it when the kernel refuses. */
function step<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (errnoOf(error) !== undefined) throw failed(name, error);
    throw error;
  }
}

/** Hardware addresses are locally administered (second-lowest bit of the first byte) and derived, so they are the same when made anew. */
const bridgeMac = (bridge: string): Uint8Array =>
  Uint8Array.of(0x0a, ...createHash('sha256').update(`berth ${bridge}`).digest().subarray(0, 5));

/** A pod's hardware address follows from its IP address: who has that address anew is found without waiting for ARP to forget. */
function podMac(address: Address): Uint8Array {
  const bytes = bytesOf(address);
  if (bytes.length === 4) return Uint8Array.of(0x0a, 0x58, ...bytes);
  return Uint8Array.of(0x0a, 0x59, ...createHash('sha256').update(bytes).digest().subarray(0, 4));
}

const isOurs = (link: Link, bridge: string): boolean => link.kind === 'bridge' && Buffer.compare(link.mac, bridgeMac(bridge)) === 0;

/** What ensureBridge found. */
export interface BridgeOutcome {
  /** It was made now. */
  made: boolean;
  /** Larger networks that the host has a route to and that a pod network is cut out of: worth a warning. */
  cutOutOf: string[];
}

/**
 * Makes the bridge, or completes it, with a gateway address per subnet. Throws
 * NETWORK_FAILED, before it makes anything, when somebody else's link has the
 * name or the host has a route into a subnet.
 */
export function ensureBridge(config: BridgeConfig, subnets: readonly Subnet[]): BridgeOutcome {
  return step(`making the bridge ${config.bridge}`, () => {
    using socket = new RouteSocket();
    const found = socket.link(config.bridge);
    if (found !== undefined) refuseForeign(found, config.bridge);
    const missing = withoutGateway(socket, found, subnets);
    const cutOutOf = missing.length === 0 ? [] : refuseOverlap(socket, missing, config.bridge);
    if (found === undefined) socket.addBridge({ name: config.bridge, mac: bridgeMac(config.bridge), mtu: config.mtu });
    const link = found ?? socket.link(config.bridge);
    if (link === undefined) throw failed(`finding the new bridge ${config.bridge}`, 'it is not there');
    if (!link.up) prepareBridge(config.bridge);
    for (const subnet of missing) {
      const gateway = gatewayOf(subnet);
      const address = { index: link.index, address: bytesOf(gateway), prefixLength: subnet.prefixLength };
      socket.addAddress(address, `${formatAddress(gateway)}/${subnet.prefixLength}`);
    }
    if (!link.up) socket.change(link, { up: true });
    return { made: found === undefined, cutOutOf };
  });
}

function refuseForeign(link: Link, bridge: string): void {
  if (isOurs(link, bridge)) return;
  throw new RuntimeError(
    'precondition',
    'NETWORK_FAILED',
    `the interface ${bridge} exists and was not made by berth; remove it or set network.bridge to another name`,
  );
}

function withoutGateway(socket: RouteSocket, bridge: Link | undefined, subnets: readonly Subnet[]): Subnet[] {
  if (bridge === undefined) return [...subnets];
  const present = new Set(
    socket
      .addresses()
      .filter(({ index }) => index === bridge.index)
      .map(({ address }) => formatAddress(addressOf(address))),
  );
  return subnets.filter((subnet) => !present.has(formatAddress(gatewayOf(subnet))));
}

/** Throws when a subnet holds a network that the host has a route to; returns larger networks it would be cut out of. */
function refuseOverlap(socket: RouteSocket, subnets: readonly Subnet[], bridge: string): string[] {
  const links = new Map(socket.links().map((link) => [link.index, link.name]));
  const cutOutOf: string[] = [];
  for (const route of socket.routes()) {
    const on = links.get(route.link) ?? 'another interface';
    if (on === bridge) continue;
    const taken = subnetOf(addressOf(route.destination), route.prefixLength);
    const met = subnets.find((subnet) => overlap(subnet, taken));
    if (met === undefined) continue;
    if (taken.prefixLength >= met.prefixLength) {
      throw new RuntimeError(
        'precondition',
        'NETWORK_FAILED',
        `the pod network ${formatSubnet(met)} of ${bridge} meets the host's route to ${formatSubnet(taken)} on ${on}; set network.pod_cidr to a free network`,
      );
    }
    cutOutOf.push(`${formatSubnet(taken)} on ${on}`);
  }
  return cutOutOf;
}

function prepareBridge(bridge: string): void {
  setSysctl(`ipv4/conf/${bridge}/route_localnet`, '1'); // 127.0.0.1:PORT of the host leads to a pod; the ruleset guards the other way
  setSysctlIfPresent(`ipv6/conf/${bridge}/accept_ra`, '0'); // a pod is no router
  setSysctlIfPresent(`ipv6/conf/${bridge}/accept_dad`, '0'); // the gateway is usable at once, without carrier
}

/** What plugging a pod in needs. */
export interface PodLinkSpec extends BridgeConfig {
  hostLink: string;
  netnsPath: string;
  /** Primary first; one per family. */
  addresses: readonly PodAddress[];
}

/** Makes the veth pair between the bridge and the pod's namespace, gives eth0 its addresses and routes and sets both ends up. */
export function plugPod(spec: PodLinkSpec): void {
  step('plugging the pod into the bridge', () => {
    using socket = new RouteSocket();
    const bridge = socket.link(spec.bridge);
    const [primary] = spec.addresses;
    if (bridge === undefined || primary === undefined) throw failed(`finding the bridge ${spec.bridge}`, 'it is not there');
    const stale = socket.link(spec.hostLink); // of an attempt that ended half-way
    if (stale !== undefined) socket.remove(stale);
    addPair(socket, spec, bridge.index, podMac(primary.address));
    inNamespaces({ net: spec.netnsPath }, () => configurePod(spec.addresses));
    const near = socket.link(spec.hostLink);
    if (near === undefined) throw failed('finding the near end of the veth pair', 'it is not there');
    setSysctlIfPresent(`ipv6/conf/${spec.hostLink}/disable_ipv6`, '1'); // a bridge port needs no address of its own
    socket.hairpin(near);
    socket.change(near, { up: true });
  });
}

function addPair(socket: RouteSocket, spec: PodLinkSpec, master: number, mac: Uint8Array): void {
  const netnsFd = openSync(spec.netnsPath, 'r');
  try {
    socket.addVeth({ name: spec.hostLink, master, mtu: spec.mtu, peer: { name: POD_INTERFACE, mac, netnsFd } });
  } finally {
    closeSync(netnsFd);
  }
}

/** Runs inside the pod's namespace. The link was made down and comes up with its addresses (set up at creation it fails with ENOTCONN). */
function configurePod(addresses: readonly PodAddress[]): void {
  setSysctl(`ipv4/conf/${POD_INTERFACE}/arp_notify`, '1'); // tells the bridge and its neighbours at once who has the address now
  setSysctlIfPresent(`ipv6/conf/${POD_INTERFACE}/accept_ra`, '0'); // another pod must not become this one's router
  setSysctlIfPresent(`ipv6/conf/${POD_INTERFACE}/accept_dad`, '0');
  using socket = new RouteSocket();
  const link = socket.link(POD_INTERFACE);
  if (link === undefined) throw failed(`finding ${POD_INTERFACE} in the pod`, 'it is not there');
  for (const { address, subnet } of addresses) {
    const text = `${formatAddress(address)}/${subnet.prefixLength}`;
    socket.addAddress({ index: link.index, address: bytesOf(address), prefixLength: subnet.prefixLength }, text);
  }
  socket.change(link, { up: true });
  for (const { subnet } of addresses) {
    const gateway = gatewayOf(subnet);
    socket.addDefaultRoute(link.index, bytesOf(gateway), formatAddress(gateway));
  }
}

/** Takes a pod off the bridge without removing its link, which the kernel does with the namespace (removing it here would block for 20 ms). */
export function unplugPod(hostLink: string): void {
  step('taking the pod off the bridge', () => {
    using socket = new RouteSocket();
    const link = socket.link(hostLink);
    if (link !== undefined) changeIfThere(socket, link);
  });
}

function changeIfThere(socket: RouteSocket, link: Link): void {
  try {
    socket.change(link, { up: false });
  } catch (error) {
    if (!(error instanceof SysError && error.code === 'ENODEV')) throw error; // ENODEV: it died with its namespace just now
  }
}

/** Puts the links of running pods back onto the bridge when it was made anew. */
export function replugPods(bridge: string, hostLinks: ReadonlySet<string>): void {
  step(`putting the pods back on the bridge ${bridge}`, () => {
    using socket = new RouteSocket();
    const links = socket.links();
    const master = links.find((link) => link.name === bridge);
    if (master === undefined) return;
    for (const link of links) {
      if (!hostLinks.has(link.name) || link.master === master.index) continue;
      socket.change(link, { master: master.index });
      socket.hairpin(link);
      socket.change(link, { up: true });
    }
  });
}

/** The raw addresses of the host itself. */
export function hostAddresses(): Uint8Array[] {
  return step('listing the addresses of the host', () => {
    using socket = new RouteSocket();
    return socket.addresses().map(({ address }) => address);
  });
}

/** Removes links of pods on our bridge that are not in `keep`; returns their names. */
export function removeStrayLinks(bridge: string, keep: ReadonlySet<string>): string[] {
  return step(`removing left-over links of the bridge ${bridge}`, () => {
    using socket = new RouteSocket();
    const links = socket.links();
    const master = links.find((link) => link.name === bridge && isOurs(link, bridge));
    if (master === undefined) return [];
    const strays = links.filter((link) => link.master === master.index && link.name.startsWith(HOST_LINK_PREFIX) && !keep.has(link.name));
    for (const stray of strays) socket.remove(stray);
    return strays.map((stray) => stray.name);
  });
}

/** Removes the bridge if it is ours; true when it was there. */
export function removeBridge(bridge: string): boolean {
  return step(`removing the bridge ${bridge}`, () => {
    using socket = new RouteSocket();
    const link = socket.link(bridge);
    if (link === undefined || !isOurs(link, bridge)) return false;
    socket.remove(link);
    return true;
  });
}
