/** `berth serve`: the daemon from its configuration to its last log line. */
import type { ServeRequest } from './cli/index.ts';
import { loadConfig } from './config/index.ts';
import { startDaemon } from './daemon.ts';
import { messageOf, RuntimeError } from './errors/index.ts';
import { createLogger } from './log/index.ts';
import { sdNotify } from './sys/index.ts';
import { VERSION } from './version.ts';

/** Runs the daemon until SIGTERM or SIGINT; answers the exit code. Throws NOT_ROOT, CONFIG_INVALID. */
export async function serve(request: ServeRequest): Promise<number> {
  if (process.getuid?.() !== 0) {
    throw new RuntimeError(
      'denied',
      'NOT_ROOT',
      'berth serve makes namespaces, mounts and cgroups and was not started by root; start it as root',
    );
  }
  const { config, files } = loadConfig({ file: request.configFile, overrides: request.overrides });
  const log = createLogger({ level: config.log.level });
  const stopped = stopSignal();
  log.info({ version: VERSION, node: process.version, pid: process.pid, socket: config.socket, files }, 'berth is starting');
  try {
    await using daemon = await startDaemon(config, log);
    sdNotify('READY=1');
    log.info({ socket: config.socket, metrics: daemon.metricsAddress, ms: Math.round(performance.now()) }, 'berth is ready');
    const signal = await stopped;
    sdNotify('STOPPING=1');
    log.info({ signal }, 'berth is stopping; pods go on');
    return 0;
  } catch (error) {
    log.fatal({ err: error, reason: error instanceof RuntimeError ? error.reason : undefined }, messageOf(error));
    return 1;
  }
}

function stopSignal(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  process.once('SIGTERM', resolve);
  process.once('SIGINT', resolve);
  return promise;
}
