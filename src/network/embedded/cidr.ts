/**
 * Address arithmetic of the embedded network: textual addresses and subnets
 * to numbers and back. Pure. An address is a bigint of 32 or 128 bits with
 * its family, so that counting, masks and ranges are plain arithmetic.
 */
import { isIP } from 'node:net';
import { RuntimeError } from '../../errors/index.ts';

/** IP version. */
export type Family = 4 | 6;

/** An address as a number. */
export interface Address {
  family: Family;
  value: bigint;
}

/** A network; `base` has no host bits. */
export interface Subnet {
  family: Family;
  base: bigint;
  prefixLength: number;
}

const BITS = { 4: 32, 6: 128 } as const;
/** Host bits a pod network has at least: a gateway, a pod and, for IPv4, the two addresses at the ends. */
const MIN_HOST_BITS = 2;

/** An address from its text; undefined when it is none (a zone is none). */
export function parseAddress(text: string): Address | undefined {
  const family = isIP(text);
  if (family === 4) return { family, value: parseDotted(text) };
  if (family !== 6 || text.includes('%')) return undefined;
  return { family, value: parseColons(text) };
}

function parseDotted(text: string): bigint {
  return text.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function parseColons(text: string): bigint {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    const tail = parseDotted(dotted[2] ?? '');
    return parseColons(`${dotted[1]}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`);
  }
  const [head = '', tail] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : new Array<string>(8 - left.length - right.length).fill('0');
  return [...left, ...zeros, ...right].reduce((value, part) => (value << 16n) | BigInt(`0x${part}`), 0n);
}

/** The canonical text of an address (RFC 5952 for IPv6). */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
  const groups = Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - at * 16)) & 0xffffn).toString(16));
  const run = longestZeroRun(groups);
  if (run.length < 2) return groups.join(':');
  return `${groups.slice(0, run.start).join(':')}::${groups.slice(run.start + run.length).join(':')}`;
}

function longestZeroRun(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  for (const [at, group] of groups.entries()) {
    length = group === '0' ? length + 1 : 0;
    if (length > best.length) best = { start: at - length + 1, length };
  }
  return best;
}

/** The bytes of an address in network order. */
export function bytesOf({ family, value }: Address): Uint8Array {
  const count = BITS[family] / 8;
  return Uint8Array.from({ length: count }, (_, at) => Number((value >> BigInt((count - 1 - at) * 8)) & 0xffn));
}

/** The address of bytes in network order: 4 are IPv4, 16 IPv6. */
export function addressOf(bytes: Uint8Array): Address {
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return { family: bytes.length === 4 ? 4 : 6, value };
}

/** The subnet an address with this prefix length lies in. */
export function subnetOf({ family, value }: Address, prefixLength: number): Subnet {
  const hostBits = BigInt(BITS[family] - prefixLength);
  return { family, base: (value >> hostBits) << hostBits, prefixLength };
}

/** One pod network per family, IPv4 before IPv6 as written. Throws INVALID_ARGUMENT with the text and `what` it is. */
export function parsePodCidr(text: string, what: string): Subnet[] {
  const subnets = text.split(',').map((part) => parseSubnet(part.trim()));
  const families = new Set(subnets.map((subnet) => subnet?.family));
  if (subnets.includes(undefined) || families.size !== subnets.length) {
    throw new RuntimeError(
      'invalid',
      'INVALID_ARGUMENT',
      `${what} ${JSON.stringify(text)} is not a pod network; give an IPv4 network up to /30, an IPv6 network up to /126, or one of each separated by a comma`,
    );
  }
  return subnets.filter((subnet) => subnet !== undefined);
}

function parseSubnet(text: string): Subnet | undefined {
  const [address = '', length = '', ...rest] = text.split('/');
  const parsed = parseAddress(address);
  if (parsed === undefined || rest.length > 0 || !/^\d{1,3}$/.test(length)) return undefined;
  const prefixLength = Number(length);
  if (prefixLength === 0 || prefixLength > BITS[parsed.family] - MIN_HOST_BITS) return undefined;
  return subnetOf(parsed, prefixLength);
}

/** `10.0.0.0/8`. */
export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress({ family: subnet.family, value: subnet.base })}/${subnet.prefixLength}`;
}

/** The address of the bridge in the subnet: the first host. */
export function gatewayOf(subnet: Subnet): Address {
  return { family: subnet.family, value: subnet.base + 1n };
}

/** First and last address a pod can have; IPv4's last address is the broadcast. */
export function podRange(subnet: Subnet): { first: bigint; last: bigint } {
  const size = 1n << BigInt(BITS[subnet.family] - subnet.prefixLength);
  return { first: subnet.base + 2n, last: subnet.base + size - (subnet.family === 4 ? 2n : 1n) };
}

/** True when the two have an address in common. */
export function overlap(a: Subnet, b: Subnet): boolean {
  if (a.family !== b.family) return false;
  const shift = BigInt(BITS[a.family] - Math.min(a.prefixLength, b.prefixLength));
  return a.base >> shift === b.base >> shift;
}
