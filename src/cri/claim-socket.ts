/**
 * The unix socket's file: its directory exists, nothing else answers on it,
 * and a left-over of a killed daemon is unlinked. Only a socket that refuses
 * connections is ever unlinked: a second daemon must not steal the first one's
 * address, and a regular file is somebody's data.
 */
import { lstat, mkdir, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';

/** sockaddr_un.sun_path holds 108 bytes with the final NUL (unix(7)). */
const SOCKET_PATH_LIMIT_BYTES = 107;

/** Makes `path` free to be bound. Throws SOCKET_IN_USE or CONFIG_INVALID. */
export async function claimSocketPath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > SOCKET_PATH_LIMIT_BYTES) {
    const limit = `${SOCKET_PATH_LIMIT_BYTES} bytes, the kernel's limit`;
    throw new RuntimeError('invalid', 'CONFIG_INVALID', `the socket path ${path} is longer than ${limit}; configure a shorter one`);
  }
  await mkdir(dirname(path), { recursive: true });
  const present = await lstat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (present === undefined) return;
  if (!present.isSocket()) {
    const what = `${path} exists and is not a socket; move it away or configure another socket`;
    throw new RuntimeError('precondition', 'SOCKET_IN_USE', what);
  }
  if (await answers(path)) {
    const what = `another process answers on ${path}; stop it (systemctl stop berth) or configure another socket`;
    throw new RuntimeError('precondition', 'SOCKET_IN_USE', what);
  }
  await unlink(path);
}

/** True when somebody accepts connections there. */
async function answers(path: string): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const client = connect(path);
  client.once('connect', () => resolve(true));
  client.once('error', (error) => {
    // ENOENT: it went away in the meantime; both mean that nobody listens
    if (['ECONNREFUSED', 'ENOENT'].includes(errnoOf(error) ?? '')) resolve(false);
    else reject(new RuntimeError('precondition', 'SOCKET_IN_USE', `cannot tell who owns ${path}: ${messageOf(error)}`));
  });
  try {
    return await promise;
  } finally {
    client.destroy();
  }
}
