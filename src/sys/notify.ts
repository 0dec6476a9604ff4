/**
 * The service manager's notification protocol (sd_notify(3)): one datagram of
 * `NAME=value` lines to the unix socket in NOTIFY_SOCKET, which may be in the
 * abstract namespace. Node has no unix datagrams, hence libc.
 */
import { closeFd, libcFunction } from './libc.ts';

// socket(2), unix(7)
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const MSG_NOSIGNAL = 0x4000;
const SUN_PATH_BYTES = 108;

const socketCall = libcFunction('int socket(int domain, int type, int protocol)');
const sendto = libcFunction('long sendto(int fd, void *data, size_t size, int flags, void *address, uint length)');

/**
 * Tells the service manager `state` (`READY=1`, `WATCHDOG=1`, ... joined by
 * newlines). False when nobody asked to be told or it could not be delivered:
 * no reason to stop, since the manager acts by itself on what it misses.
 */
export function sdNotify(state: string): boolean {
  const path = process.env.NOTIFY_SOCKET;
  if (path === undefined || !(path.startsWith('/') || path.startsWith('@'))) return false;
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : path);
  if (name.length > SUN_PATH_BYTES) return false;
  const address = Buffer.alloc(2 + name.length);
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  const fd = socketCall(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const data = Buffer.from(state);
  const sent = sendto(fd, data, data.length, MSG_NOSIGNAL, address, address.length);
  closeFd(fd);
  return sent === data.length;
}
