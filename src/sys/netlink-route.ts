/**
 * The rtnetlink messages that berth speaks (linux/rtnetlink.h, if_link.h,
 * if_addr.h): links, addresses and routes to bytes and back. Pure. Addresses
 * are raw bytes, 4 of IPv4 or 16 of IPv6, and the family follows from that.
 */
import {
  attribute,
  byteAttribute,
  decodeAttributes,
  type NetlinkRequest,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REQUEST,
  nested,
  numberAttribute,
  textAttribute,
  textOf,
} from './netlink-codec.ts';

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;

const AF_INET = 2;
const AF_INET6 = 10;
const AF_BRIDGE = 7;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_MASTER = 10;
const IFLA_PROTINFO = 12;
const IFLA_LINKINFO = 18;
const IFLA_STATS64 = 23;
const IFLA_NET_NS_FD = 28;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_BRPORT_MODE = 4; // hairpin
const VETH_INFO_PEER = 1;
const NLA_F_NESTED = 0x8000;
const IFF_UP = 0x1;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_F_NODAD = 0x02;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const RTN_UNICAST = 1;

/** Counters of a link, struct rtnl_link_stats64. */
interface LinkCounters {
  rxPackets: bigint;
  txPackets: bigint;
  rxBytes: bigint;
  txBytes: bigint;
  rxErrors: bigint;
  txErrors: bigint;
  rxDropped: bigint;
  txDropped: bigint;
}

/** A link as the kernel tells it. */
export interface Link {
  index: number;
  name: string;
  up: boolean;
  mtu: number;
  /** Hardware address. */
  mac: Uint8Array;
  /** Index of the bridge it is a port of; 0 for none. */
  master: number;
  /** 'bridge', 'veth', ...; '' for hardware and lo. */
  kind: string;
  counters: LinkCounters | undefined;
}

/** An address on a link. */
export interface LinkAddress {
  index: number;
  address: Uint8Array;
  prefixLength: number;
}

/** A route of the main table. */
export interface Route {
  destination: Uint8Array;
  prefixLength: number;
  /** Index of the outgoing link; 0 when the route has several or none. */
  link: number;
}

/** A bridge to be made; it starts down. */
export interface BridgeSpec {
  name: string;
  mac: Uint8Array;
  mtu: number;
}

/** A veth pair to be made, both ends down, one here and one in another namespace. */
export interface VethSpec {
  name: string;
  /** Index of the bridge the near end becomes a port of. */
  master: number;
  mtu: number;
  peer: { name: string; mac: Uint8Array; netnsFd: number };
}

/** Changes to a link; absent fields stay as they are. */
export interface LinkChange {
  up?: boolean;
  master?: number;
  mtu?: number;
}

const family = (address: Uint8Array): number => (address.length === 4 ? AF_INET : AF_INET6);
const CREATE = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
const CHANGE = NLM_F_REQUEST | NLM_F_ACK;
const DUMP = NLM_F_REQUEST | NLM_F_DUMP;

interface LinkHeader {
  family?: number;
  index?: number;
  flags?: number;
  change?: number;
}

/** struct ifinfomsg. */
function linkHeader(header: LinkHeader): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt8(header.family ?? 0, 0);
  bytes.writeInt32LE(header.index ?? 0, 4);
  bytes.writeUInt32LE(header.flags ?? 0, 8);
  bytes.writeUInt32LE(header.change ?? 0, 12);
  return bytes;
}

/** Makes a bridge. */
export function newBridge(spec: BridgeSpec): NetlinkRequest {
  const info = nested(IFLA_LINKINFO, textAttribute(IFLA_INFO_KIND, 'bridge'));
  const body = [linkHeader({}), textAttribute(IFLA_IFNAME, spec.name), numberAttribute(IFLA_MTU, spec.mtu)];
  return { type: RTM_NEWLINK, flags: CREATE, body: Buffer.concat([...body, attribute(IFLA_ADDRESS, spec.mac), info]) };
}

/** Makes a veth pair whose near end is a port of a bridge from its first moment. */
export function newVeth(spec: VethSpec): NetlinkRequest {
  const peer = nested(
    VETH_INFO_PEER,
    linkHeader({}),
    textAttribute(IFLA_IFNAME, spec.peer.name),
    numberAttribute(IFLA_MTU, spec.mtu),
    attribute(IFLA_ADDRESS, spec.peer.mac),
    numberAttribute(IFLA_NET_NS_FD, spec.peer.netnsFd),
  );
  const info = nested(IFLA_LINKINFO, textAttribute(IFLA_INFO_KIND, 'veth'), nested(IFLA_INFO_DATA, peer));
  const body = [linkHeader({}), textAttribute(IFLA_IFNAME, spec.name), numberAttribute(IFLA_MTU, spec.mtu)];
  return { type: RTM_NEWLINK, flags: CREATE, body: Buffer.concat([...body, numberAttribute(IFLA_MASTER, spec.master), info]) };
}

/** Changes a link. */
export function changeLink(index: number, change: LinkChange): NetlinkRequest {
  const flags = change.up === undefined ? {} : { flags: change.up ? IFF_UP : 0, change: IFF_UP };
  const body = [linkHeader({ index, ...flags })];
  if (change.mtu !== undefined) body.push(numberAttribute(IFLA_MTU, change.mtu));
  if (change.master !== undefined) body.push(numberAttribute(IFLA_MASTER, change.master));
  return { type: RTM_SETLINK, flags: CHANGE, body: Buffer.concat(body) };
}

/** Lets a bridge port send a frame back out of the port it came from. */
export function hairpinPort(index: number): NetlinkRequest {
  const info = nested(IFLA_PROTINFO | NLA_F_NESTED, byteAttribute(IFLA_BRPORT_MODE, 1));
  return { type: RTM_SETLINK, flags: CHANGE, body: Buffer.concat([linkHeader({ family: AF_BRIDGE, index }), info]) };
}

/** Removes a link (and the other end, for a veth). */
export const deleteLink = (index: number): NetlinkRequest => ({ type: RTM_DELLINK, flags: CHANGE, body: linkHeader({ index }) });

/** Asks for one link by name; the answer is ENODEV when there is none. */
export const getLink = (name: string): NetlinkRequest => ({
  type: RTM_GETLINK,
  flags: NLM_F_REQUEST | NLM_F_ACK,
  body: Buffer.concat([linkHeader({}), textAttribute(IFLA_IFNAME, name)]),
});

/** Asks for every link. */
export const dumpLinks = (): NetlinkRequest => ({ type: RTM_GETLINK, flags: DUMP, body: linkHeader({}) });

/** A link from the payload of RTM_NEWLINK. */
export function decodeLink(payload: Buffer): Link {
  const attributes = decodeAttributes(payload.subarray(16));
  const info = attributes.get(IFLA_LINKINFO);
  const kind = info === undefined ? undefined : decodeAttributes(info).get(IFLA_INFO_KIND);
  const stats = attributes.get(IFLA_STATS64);
  return {
    index: payload.readInt32LE(4),
    name: textOf(attributes.get(IFLA_IFNAME) ?? Buffer.alloc(0)),
    up: (payload.readUInt32LE(8) & IFF_UP) !== 0,
    mtu: attributes.get(IFLA_MTU)?.readUInt32LE(0) ?? 0,
    mac: Uint8Array.from(attributes.get(IFLA_ADDRESS) ?? []),
    master: attributes.get(IFLA_MASTER)?.readUInt32LE(0) ?? 0,
    kind: kind === undefined ? '' : textOf(kind),
    counters: stats === undefined ? undefined : decodeCounters(stats),
  };
}

function decodeCounters(stats: Buffer): LinkCounters {
  const at = (position: number): bigint => stats.readBigUInt64LE(position * 8);
  return {
    rxPackets: at(0),
    txPackets: at(1),
    rxBytes: at(2),
    txBytes: at(3),
    rxErrors: at(4),
    txErrors: at(5),
    rxDropped: at(6),
    txDropped: at(7),
  };
}

/** struct ifaddrmsg and its attributes. */
function addressBody({ index, address, prefixLength }: LinkAddress): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(family(address), 0);
  header.writeUInt8(prefixLength, 1);
  header.writeUInt8(address.length === 16 ? IFA_F_NODAD : 0, 2); // addresses come from one allocator: no duplicates to look for
  header.writeUInt32LE(index, 4);
  const body = [header, attribute(IFA_LOCAL, address), attribute(IFA_ADDRESS, address)];
  if (address.length === 4) body.push(attribute(IFA_BROADCAST, broadcastOf(address, prefixLength)));
  return Buffer.concat(body);
}

function broadcastOf(address: Uint8Array, prefixLength: number): Uint8Array {
  return address.map((byte, position) => {
    const hostBits = Math.min(8, Math.max(0, (position + 1) * 8 - prefixLength));
    return byte | ((1 << hostBits) - 1);
  });
}

/** Gives a link an address. */
export const newAddress = (address: LinkAddress): NetlinkRequest => ({ type: RTM_NEWADDR, flags: CREATE, body: addressBody(address) });

/** Asks for every address. */
export const dumpAddresses = (): NetlinkRequest => ({ type: RTM_GETADDR, flags: DUMP, body: Buffer.alloc(8) });

/** An address from the payload of RTM_NEWADDR. */
export function decodeAddress(payload: Buffer): LinkAddress {
  const attributes = decodeAttributes(payload.subarray(8));
  const address = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS) ?? Buffer.alloc(0);
  return { index: payload.readUInt32LE(4), address: Uint8Array.from(address), prefixLength: payload.readUInt8(1) };
}

/** A default route through `gateway` on the link `index`. */
export function newDefaultRoute(index: number, gateway: Uint8Array): NetlinkRequest {
  const header = Buffer.alloc(12);
  header.writeUInt8(family(gateway), 0);
  header.writeUInt8(RT_TABLE_MAIN, 4);
  header.writeUInt8(RTPROT_STATIC, 5);
  header.writeUInt8(RTN_UNICAST, 7);
  const body = Buffer.concat([header, attribute(RTA_GATEWAY, gateway), numberAttribute(RTA_OIF, index)]);
  return { type: RTM_NEWROUTE, flags: CREATE, body };
}

/** Asks for every route. */
export const dumpRoutes = (): NetlinkRequest => ({ type: RTM_GETROUTE, flags: DUMP, body: Buffer.alloc(12) });

/** A unicast route of the main table that has a destination, from the payload of RTM_NEWROUTE; undefined for any other. */
export function decodeRoute(payload: Buffer): Route | undefined {
  const attributes = decodeAttributes(payload.subarray(12));
  const destination = attributes.get(RTA_DST);
  if (destination === undefined || payload.readUInt8(4) !== RT_TABLE_MAIN || payload.readUInt8(7) !== RTN_UNICAST) return undefined;
  return {
    destination: Uint8Array.from(destination),
    prefixLength: payload.readUInt8(1),
    link: attributes.get(RTA_OIF)?.readUInt32LE(0) ?? 0,
  };
}
