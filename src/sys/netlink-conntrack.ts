/**
 * The messages of ctnetlink that berth speaks (linux/netfilter/
 * nfnetlink_conntrack.h): UDP flows by destination port, and the removal of
 * one. Pure. Every struct nfgenmsg is family, version 0, resource 0.
 */
import {
  attribute,
  byteAttribute,
  decodeAttributes,
  type NetlinkRequest,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  nested,
} from './netlink-codec.ts';

const IPCTNL_MSG_CT_GET = 0x0101; // NFNL_SUBSYS_CTNETLINK << 8 | 1
const IPCTNL_MSG_CT_DELETE = 0x0102;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_FILTER = 25;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V6_SRC = 3;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;
/** net/netfilter/nf_internals.h: match the protocol (1 << 3) and the destination port (1 << 5). Kernels before 5.8 ignore it and send all. */
const FILTER_FLAGS = Uint8Array.of(0x28, 0, 0, 0);
const IPPROTO_UDP = 17;
const NLA_F_NESTED = 0x8000;
const NFGENMSG_BYTES = 4;

/** Address families of flows. */
export const FLOW_FAMILIES = [2, 10] as const; // AF_INET, AF_INET6

/** A tracked UDP flow. */
export interface UdpFlow {
  /** Destination port of its first packet. */
  port: number;
  /** Who answers it, after address translation; raw bytes. */
  answeredBy: Uint8Array;
  /** The kernel's own encoding of the tuple, which names the flow in a removal. */
  tuple: Buffer;
}

const header = (family: number): Buffer => Buffer.from([family, 0, 0, 0]);

/** Asks for the UDP flows of a family whose first packet went to `port`. */
export function dumpUdpFlows(family: number, port: number): NetlinkRequest {
  const destination = Uint8Array.of(port >> 8, port & 0xff);
  const proto = nested(
    CTA_TUPLE_PROTO | NLA_F_NESTED,
    byteAttribute(CTA_PROTO_NUM, IPPROTO_UDP),
    attribute(CTA_PROTO_DST_PORT, destination),
  );
  const body = [
    header(family),
    nested(CTA_TUPLE_ORIG | NLA_F_NESTED, proto),
    nested(CTA_FILTER | NLA_F_NESTED, attribute(CTA_FILTER_ORIG_FLAGS, FILTER_FLAGS)),
  ];
  return { type: IPCTNL_MSG_CT_GET, flags: NLM_F_REQUEST | NLM_F_DUMP, body: Buffer.concat(body) };
}

/** Removes a flow. */
export const deleteFlow = (family: number, flow: UdpFlow): NetlinkRequest => ({
  type: IPCTNL_MSG_CT_DELETE,
  flags: NLM_F_REQUEST | NLM_F_ACK,
  body: Buffer.concat([header(family), attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, flow.tuple)]),
});

/** A UDP flow from the payload of IPCTNL_MSG_CT_NEW; undefined for any other. */
export function decodeUdpFlow(payload: Buffer): UdpFlow | undefined {
  const flow = decodeAttributes(payload.subarray(NFGENMSG_BYTES));
  const original = flow.get(CTA_TUPLE_ORIG);
  const reply = flow.get(CTA_TUPLE_REPLY);
  if (original === undefined || reply === undefined) return undefined;
  const proto = decodeAttributes(decodeAttributes(original).get(CTA_TUPLE_PROTO) ?? Buffer.alloc(0));
  const ip = decodeAttributes(decodeAttributes(reply).get(CTA_TUPLE_IP) ?? Buffer.alloc(0));
  const answeredBy = ip.get(CTA_IP_V4_SRC) ?? ip.get(CTA_IP_V6_SRC);
  const port = proto.get(CTA_PROTO_DST_PORT)?.readUInt16BE(0);
  if (proto.get(CTA_PROTO_NUM)?.readUInt8(0) !== IPPROTO_UDP || answeredBy === undefined || port === undefined) return undefined;
  return { port, answeredBy: Uint8Array.from(answeredBy), tuple: original };
}
