/** Names of this machine itself: what listens there is the node's own. Pure. */
import { isIPv4 } from 'node:net';

/** localhost, 127.0.0.0/8 or ::1, without brackets and port. */
export const isLoopbackName = (name: string): boolean =>
  name === 'localhost' || name === '::1' || (isIPv4(name) && name.startsWith('127.'));

/** The same for HOST or HOST:PORT as written in references. */
export const isLoopbackHost = (host: string): boolean =>
  isLoopbackName(host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.replace(/:[0-9]+$/, ''));
