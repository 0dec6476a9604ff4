/**
 * Structured log (pino), JSON lines on stdout. One line per state change, with
 * ids and durations; secrets never reach it: the paths below are redacted
 * wherever they occur in a line's object.
 */
import { type DestinationStream, destination, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

const SECRET_KEYS = ['password', 'auth', 'identityToken', 'registryToken', 'authorization', 'token', 'secret'];

/** Where and how much to log. */
export interface LogOptions {
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Destination; stdout when absent. */
  to?: DestinationStream;
}

/** Makes the root logger. */
export function createLogger(options: LogOptions): Logger {
  const paths = SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]);
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths, censor: '[redacted]' },
      serializers: { err: describeError },
      formatters: { level: (label) => ({ level: label }) },
    },
    options.to ?? destination({ fd: 1, sync: true }),
  );
}

/** pino's view of an error, by its `name`: what its class is called is lost when the bundle is minified. */
function describeError(error: unknown): unknown {
  return error instanceof Error ? { ...pino.stdSerializers.err(error), type: error.name } : error;
}
