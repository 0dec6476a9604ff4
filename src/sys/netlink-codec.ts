/**
 * The netlink wire format (linux/netlink.h) and nothing else: headers and
 * attributes to bytes and back. Pure, so that it is tested by bytes. Numbers
 * are in host byte order, which is little-endian on every machine berth runs
 * on (amd64, arm64); addresses are in network order as the caller gives them.
 * Invariant: a decoder never reads past the bytes it was given.
 */

/** linux/netlink.h: message types and flags. */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_DUMP = 0x300;
const NLM_F_ACK_TLVS = 0x200;

const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
const ALIGN = 4;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER live in the upper two bits of the type. */
const TYPE_MASK = 0x3fff;
const NLMSGERR_ATTR_MSG = 1;

/** One request: header fields and a body that is already encoded. */
export interface NetlinkRequest {
  type: number;
  flags: number;
  body: Buffer;
}

/** One received message without its header. */
export interface NetlinkMessage {
  type: number;
  flags: number;
  sequence: number;
  payload: Buffer;
}

/** What NLMSG_ERROR carries; errno 0 is the acknowledgement of a success. */
export interface NetlinkError {
  /** Positive errno, 0 for success. */
  errno: number;
  /** The kernel's own words (NETLINK_EXT_ACK), '' when it gave none. */
  message: string;
}

const aligned = (length: number): number => (length + ALIGN - 1) & ~(ALIGN - 1);

/** A whole message. */
export function encodeMessage(request: NetlinkRequest, sequence: number): Buffer {
  const message = Buffer.alloc(HEADER_BYTES + request.body.length);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(request.type, 4);
  message.writeUInt16LE(request.flags, 6);
  message.writeUInt32LE(sequence, 8);
  request.body.copy(message, HEADER_BYTES); // bytes 12..15, the port id, stay 0: the kernel
  return message;
}

/** The messages of one datagram. Throws RangeError when a length does not fit. */
export function decodeMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  let at = 0;
  while (at + HEADER_BYTES <= datagram.length) {
    const length = datagram.readUInt32LE(at);
    if (length < HEADER_BYTES || at + length > datagram.length) throw new RangeError(`netlink message of ${length} bytes does not fit`);
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      payload: datagram.subarray(at + HEADER_BYTES, at + length),
    });
    at += aligned(length);
  }
  return messages;
}

/** The content of an NLMSG_ERROR message, its original capped to a header (NETLINK_CAP_ACK). */
export function decodeError(message: NetlinkMessage): NetlinkError {
  const errno = -message.payload.readInt32LE(0);
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return { errno, message: '' };
  const text = decodeAttributes(message.payload.subarray(4 + HEADER_BYTES)).get(NLMSGERR_ATTR_MSG);
  return { errno, message: text === undefined ? '' : textOf(text) };
}

/** One attribute with its padding. */
export function attribute(type: number, data: Uint8Array): Buffer {
  const length = ATTRIBUTE_HEADER_BYTES + data.length;
  const bytes = Buffer.alloc(aligned(length));
  bytes.writeUInt16LE(length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(data, ATTRIBUTE_HEADER_BYTES);
  return bytes;
}

/** An attribute that holds attributes. */
export const nested = (type: number, ...inner: Buffer[]): Buffer => attribute(type, Buffer.concat(inner));

/** An attribute of one byte. */
export const byteAttribute = (type: number, value: number): Buffer => attribute(type, Uint8Array.of(value));

/** An attribute of an unsigned 32-bit number. */
export function numberAttribute(type: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeUInt32LE(value, 0);
  return attribute(type, data);
}

/** An attribute of a NUL-terminated string. */
export const textAttribute = (type: number, value: string): Buffer => attribute(type, Buffer.from(`${value}\0`));

/** Attributes by type, flags masked off; of equal types the last wins. A broken tail ends the walk. */
export function decodeAttributes(bytes: Buffer): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  let at = 0;
  while (at + ATTRIBUTE_HEADER_BYTES <= bytes.length) {
    const length = bytes.readUInt16LE(at);
    if (length < ATTRIBUTE_HEADER_BYTES || at + length > bytes.length) break;
    attributes.set(bytes.readUInt16LE(at + 2) & TYPE_MASK, bytes.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length));
    at += aligned(length);
  }
  return attributes;
}

/** The text of a string attribute, up to its NUL. */
export function textOf(data: Buffer): string {
  const end = data.indexOf(0);
  return data.toString('utf8', 0, end < 0 ? data.length : end);
}
