/**
 * Host ports are refused before anything is made: when another pod of this
 * berth has the port, or a process of the host listens on it. Invariant: of
 * two pods that want one port, one row exists.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { errnoOf, RuntimeError } from '../errors/index.ts';
import { type AttachmentRow, podName } from './attachments.ts';
import type { PortMapping } from './types.ts';

const ANY_HOST = new Set(['', '0.0.0.0', '::']);

/** The mappings that publish something: hostPort 0 does not (api.proto PortMapping). */
export const publishing = (mappings: readonly PortMapping[]): PortMapping[] => mappings.filter((mapping) => mapping.hostPort > 0);

const sameHost = (a: string, b: string): boolean => a === b || ANY_HOST.has(a) || ANY_HOST.has(b);

const describe = ({ protocol, hostPort, hostIp }: PortMapping): string => `${hostPort}/${protocol}${hostIp === '' ? '' : ` on ${hostIp}`}`;

const conflict = (mapping: PortMapping, holder: string): RuntimeError =>
  new RuntimeError(
    'precondition',
    'HOST_PORT_CONFLICT',
    `host port ${describe(mapping)} is taken by ${holder}; stop that or choose another port`,
  );

/** Throws HOST_PORT_CONFLICT when two of `wanted`, or one of `rows`, meet on a port. */
export function refuseTakenByPods(wanted: readonly PortMapping[], rows: readonly AttachmentRow[]): void {
  for (const [position, mapping] of wanted.entries()) {
    const meets = (other: PortMapping): boolean =>
      other.hostPort === mapping.hostPort && other.protocol === mapping.protocol && sameHost(other.hostIp, mapping.hostIp);
    if (wanted.slice(0, position).some(meets)) throw conflict(mapping, 'another mapping of the same pod');
    const holder = rows.find((row) => row.portMappings.some(meets));
    if (holder !== undefined) throw conflict(mapping, `the pod ${podName(holder)}`);
  }
}

/**
 * Throws HOST_PORT_CONFLICT when a process of the host has one of the ports,
 * found by binding it for a moment. SCTP is not looked at (Node has no socket
 * for it), nor is an address the host does not have (yet).
 */
export async function refuseTakenByHost(wanted: readonly PortMapping[]): Promise<void> {
  for (const mapping of wanted) {
    if (mapping.protocol === 'sctp') continue;
    const bind = mapping.protocol === 'tcp' ? bindTcp : bindUdp;
    try {
      await bind(mapping.hostPort, ANY_HOST.has(mapping.hostIp) ? undefined : mapping.hostIp);
    } catch (error) {
      const code = errnoOf(error);
      if (code === 'EADDRINUSE') throw conflict(mapping, 'a process of the host that listens on it');
      if (code !== 'EADDRNOTAVAIL') throw error;
    }
  }
}

async function bindTcp(port: number, host: string | undefined): Promise<void> {
  const server = createServer();
  server.listen({ port, exclusive: true, ...(host === undefined ? {} : { host }) });
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}

async function bindUdp(port: number, host: string | undefined): Promise<void> {
  // An IPv4 socket meets a listener of both families too, and needs no IPv6 on the host.
  const socket = createSocket({ type: host?.includes(':') ? 'udp6' : 'udp4' });
  try {
    const bound = once(socket, 'listening');
    socket.bind({ port, exclusive: true, ...(host === undefined ? {} : { address: host }) });
    await bound;
  } finally {
    socket.close();
  }
}
