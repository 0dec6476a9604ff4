/** Interface counters of a pod, read by rtnetlink inside its namespace: one socket, one dump. */
import { inNamespaces, RouteSocket } from '../sys/index.ts';
import type { InterfaceStats } from './types.ts';

/** Counters of every interface but lo. Synchronous; throws when the namespace cannot be entered. */
export function readInterfaceStats(netnsPath: string): InterfaceStats[] {
  const links = inNamespaces({ net: netnsPath }, () => {
    using socket = new RouteSocket();
    return socket.links();
  });
  return links.flatMap(({ name, counters }) => (name === 'lo' || counters === undefined ? [] : [{ name, ...counters }]));
}
