/**
 * Netlink sockets, synchronous, on the main thread: one request, its answer,
 * done. The kernel answers a netlink request inside send(), so nothing here
 * waits on anything but the kernel's own locks; a receive time-out bounds even
 * that. Invariant: a socket stays in the network namespace it was opened in,
 * whichever the thread is in later.
 */
import { check, closeFd, errnoNumber, libcFunction, SysError } from './libc.ts';
import {
  attribute,
  decodeError,
  decodeMessages,
  encodeMessage,
  type NetlinkMessage,
  type NetlinkRequest,
  NLM_F_ACK,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
} from './netlink-codec.ts';
import { decodeUdpFlow, deleteFlow, dumpUdpFlows, FLOW_FAMILIES } from './netlink-conntrack.ts';
import {
  type BridgeSpec,
  changeLink,
  decodeAddress,
  decodeLink,
  decodeRoute,
  deleteLink,
  dumpAddresses,
  dumpLinks,
  dumpRoutes,
  getLink,
  hairpinPort,
  type Link,
  type LinkAddress,
  type LinkChange,
  newAddress,
  newBridge,
  newDefaultRoute,
  newVeth,
  type Route,
  type VethSpec,
} from './netlink-route.ts';

export type { Link } from './netlink-route.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;
const NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const MSG_TRUNC = 0x20;

/** Seconds a request may take; the kernel answers in microseconds, so this is for a wedged one. */
const RECEIVE_TIMEOUT_S = 2n;
/** Bytes of one datagram; the kernel's dumps use at most 32 KiB. */
const DATAGRAM_BYTES = 64 * 1024;
/** Times a dump is repeated when the kernel says that it changed under it. */
const DUMP_ATTEMPTS = 5;

const socketCall = libcFunction('int socket(int domain, int type, int protocol)');
const setsockoptCall = libcFunction('int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)');
const sendCall = libcFunction('long send(int fd, const uint8_t *buffer, size_t length, int flags)');
const recvCall = libcFunction('long recv(int fd, uint8_t *buffer, size_t length, int flags)');

// One for all sockets: everything here is synchronous, and what is kept of a datagram is copied out.
const datagram = Buffer.alloc(DATAGRAM_BYTES);

class NetlinkSocket implements Disposable {
  readonly #fd: number;
  #sequence = 0;

  constructor(protocol: number) {
    this.#fd = check(socketCall(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), 'socket', 'AF_NETLINK');
    const timeout = Buffer.alloc(16);
    timeout.writeBigInt64LE(RECEIVE_TIMEOUT_S, 0);
    const one = Buffer.from([1, 0, 0, 0]);
    check(setsockoptCall(this.#fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length), 'setsockopt', 'SO_RCVTIMEO');
    check(setsockoptCall(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, one, one.length), 'setsockopt', 'NETLINK_CAP_ACK');
    check(setsockoptCall(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, one, one.length), 'setsockopt', 'NETLINK_EXT_ACK');
  }

  /** Sends one request and collects the answers up to its acknowledgement or the end of the dump. `what` names it in the error. */
  transact(request: NetlinkRequest, what: string): NetlinkMessage[] {
    for (let attempt = 1; ; attempt += 1) {
      const answers = this.#once(request, what);
      const changed = answers.some((answer) => (answer.flags & NLM_F_DUMP_INTR) !== 0);
      if (!changed || attempt === DUMP_ATTEMPTS) return answers;
    }
  }

  #once(request: NetlinkRequest, what: string): NetlinkMessage[] {
    this.#sequence += 1;
    const message = encodeMessage(request, this.#sequence);
    check(sendCall(this.#fd, message, message.length, 0), 'send', what);
    const answers: NetlinkMessage[] = [];
    for (;;) {
      for (const answer of this.#receive(what)) {
        if (answer.sequence !== this.#sequence) continue; // the late answer of a request that timed out
        if (answer.type === NLMSG_DONE) return answers;
        if (answer.type !== NLMSG_ERROR) answers.push(answer);
        else {
          const { errno, message: words } = decodeError(answer);
          if (errno === 0) return answers;
          throw new SysError(errno, 'netlink', words === '' ? what : `${what} (${words})`);
        }
      }
    }
  }

  #receive(what: string): NetlinkMessage[] {
    const length = check(recvCall(this.#fd, datagram, datagram.length, MSG_TRUNC), 'recv', what);
    if (length > datagram.length) throw new SysError(errnoNumber('EMSGSIZE'), 'recv', what);
    return decodeMessages(Buffer.from(datagram.subarray(0, length)));
  }

  [Symbol.dispose](): void {
    closeFd(this.#fd);
  }
}

/** Links, addresses and routes of one network namespace. Every method is synchronous, well under 1 ms, and throws SysError. */
export class RouteSocket implements Disposable {
  readonly #socket = new NetlinkSocket(NETLINK_ROUTE);

  /** Every link, with counters. */
  links(): Link[] {
    return this.#socket.transact(dumpLinks(), 'list links').map((answer) => decodeLink(answer.payload));
  }

  /** The link of this name, if there is one. */
  link(name: string): Link | undefined {
    try {
      const [answer] = this.#socket.transact(getLink(name), `look up link ${name}`);
      return answer === undefined ? undefined : decodeLink(answer.payload);
    } catch (error) {
      if (error instanceof SysError && error.code === 'ENODEV') return undefined;
      throw error;
    }
  }

  /** Makes a bridge, down. EEXIST when the name is taken. */
  addBridge(spec: BridgeSpec): void {
    this.#socket.transact(newBridge(spec), `make bridge ${spec.name}`);
  }

  /** Makes a veth pair, both ends down. EEXIST when one of the names is taken. */
  addVeth(spec: VethSpec): void {
    this.#socket.transact(newVeth(spec), `make veth ${spec.peer.name}`);
  }

  /** Sets a link up or down, its MTU, its bridge. */
  change(link: { index: number; name: string }, change: LinkChange): void {
    this.#socket.transact(changeLink(link.index, change), `set ${Object.keys(change).join(', ')} of link ${link.name}`);
  }

  /** Lets a bridge port send frames back where they came from. */
  hairpin(link: { index: number; name: string }): void {
    this.#socket.transact(hairpinPort(link.index), `set hairpin mode of link ${link.name}`);
  }

  /** Removes a link; one that is gone already is success. */
  remove(link: { index: number; name: string }): void {
    try {
      this.#socket.transact(deleteLink(link.index), `remove link ${link.name}`);
    } catch (error) {
      if (!(error instanceof SysError && error.code === 'ENODEV')) throw error;
    }
  }

  /** Every address of every link. */
  addresses(): LinkAddress[] {
    return this.#socket.transact(dumpAddresses(), 'list addresses').map((answer) => decodeAddress(answer.payload));
  }

  /** Gives a link an address (IPv6: without duplicate detection). `text` names it in the error. */
  addAddress(address: LinkAddress, text: string): void {
    this.#socket.transact(newAddress(address), `add address ${text}`);
  }

  /** Adds a default route; `text` names the gateway in the error. */
  addDefaultRoute(index: number, gateway: Uint8Array, text: string): void {
    this.#socket.transact(newDefaultRoute(index, gateway), `add default route via ${text}`);
  }

  /** The unicast routes of the main table but the default ones. */
  routes(): Route[] {
    const answers = this.#socket.transact(dumpRoutes(), 'list routes');
    return answers.map((answer) => decodeRoute(answer.payload)).filter((route) => route !== undefined);
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

const NFT_MSG_GETTABLE = 0x0a01; // NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE
const NFPROTO_INET = 1;
const NFTA_TABLE_NAME = 1;

/** No such table; or a kernel without nftables, which has none either. */
const NO_TABLE = new Set(['ENOENT', 'EINVAL', 'EOPNOTSUPP', 'EPROTONOSUPPORT']);

/** True when the current namespace has the nftables table `inet NAME` (linux/netfilter/nf_tables.h). Throws SysError. */
export function hasInetTable(name: string): boolean {
  const body = Buffer.concat([Buffer.from([NFPROTO_INET, 0, 0, 0]), attribute(NFTA_TABLE_NAME, Buffer.from(`${name}\0`))]);
  try {
    using socket = new NetlinkSocket(NETLINK_NETFILTER);
    return socket.transact({ type: NFT_MSG_GETTABLE, flags: NLM_F_REQUEST | NLM_F_ACK, body }, `look up nft table ${name}`).length > 0;
  } catch (error) {
    if (error instanceof SysError && NO_TABLE.has(error.code)) return false;
    throw error;
  }
}

/**
 * Makes the current namespace forget the UDP flows to `port` that one of
 * `answeredBy` answers, so that their next packet meets the present rules: the
 * kernel asks the rules for the first packet of a flow only. Returns how many.
 * Takes a walk of the table of flows, milliseconds for very many.
 */
export function forgetUdpFlows(port: number, answeredBy: readonly Uint8Array[]): number {
  using socket = new NetlinkSocket(NETLINK_NETFILTER);
  let forgotten = 0;
  for (const family of FLOW_FAMILIES) {
    const flows = socket.transact(dumpUdpFlows(family, port), 'list UDP flows').map((answer) => decodeUdpFlow(answer.payload));
    for (const flow of flows) {
      if (flow?.port !== port || !answeredBy.some((address) => Buffer.compare(address, flow.answeredBy) === 0)) continue;
      try {
        socket.transact(deleteFlow(family, flow), 'forget a UDP flow');
        forgotten += 1;
      } catch (error) {
        if (!(error instanceof SysError && error.code === 'ENOENT')) throw error; // it ended by itself
      }
    }
  }
  return forgotten;
}
