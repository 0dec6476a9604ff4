/**
 * What one berth has for itself, claimed before anything else is touched: its
 * directories and the name of its bridge. Two daemons over one of these would
 * each take the other's pods for remains and remove them. Every claim ends
 * with the process, so a killed daemon leaves none.
 */
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Config } from './config/index.ts';
import { errnoOf, RuntimeError } from './errors/index.ts';
import { lockFile } from './sys/index.ts';

const inUse = (what: string, who: string, key: string): RuntimeError =>
  new RuntimeError('precondition', 'IN_USE', `${what} is in use by ${who}; stop it (systemctl stop berth) or configure another ${key}`);

/** Makes and claims the directories, and claims the bridge. Throws IN_USE. */
export async function claimHost(config: Config): Promise<AsyncDisposable> {
  await using claims = new AsyncDisposableStack();
  for (const key of ['root', 'state'] as const) {
    if (key === 'state' && config.state === config.root) continue;
    claims.use(claimDirectory(config[key], key));
  }
  if (config.network.embedded) claims.use(await claimBridge(config.network.bridge));
  return claims.move();
}

function claimDirectory(directory: string, key: string): Disposable {
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  const lock = lockFile(join(directory, 'lock'));
  if ('heldBy' in lock) throw inUse(`the directory ${directory}`, `another berth (pid ${lock.heldBy})`, key);
  return lock;
}

/** An abstract socket (unix(7)) of the bridge's name: it is kept per network namespace, as the bridge is. */
async function claimBridge(bridge: string): Promise<AsyncDisposable> {
  const server = createServer((stranger) => stranger.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (error) => {
    reject(errnoOf(error) === 'EADDRINUSE' ? inUse(`the bridge ${bridge}`, 'another berth', 'network.bridge') : error);
  });
  server.listen(`\0berth/bridge/${bridge}`, resolve).unref();
  await promise;
  return server;
}
