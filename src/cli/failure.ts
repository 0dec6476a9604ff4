/**
 * How a failure is told: `berth: MESSAGE` and, where there is one, the stable
 * reason with what to do about it. Messages come from the daemon word for
 * word; what the daemon cannot say (it is not there) is said here.
 */
import { REASONS, type Reason, RuntimeError } from '../errors/index.ts';
import { UsageError } from './command.ts';

/** Something failed: exit code 1. */
export const EXIT_FAILURE = 1;
/** The command line was not understood: exit code 2. */
const EXIT_USAGE = 2;

/** A call that the daemon answered with an error. */
export class CallError extends Error {
  /** Name of the gRPC status, such as NOT_FOUND. */
  readonly status: string;
  /** The daemon's `berth-reason`, '' when the peer sends none. */
  readonly reason: string;

  constructor(status: string, reason: string, message: string) {
    super(message);
    this.name = 'CallError';
    this.status = status;
    this.reason = reason;
  }
}

/** Nobody answers at the socket. */
export class DaemonUnreachable extends Error {
  constructor(socket: string, problem: string) {
    super(
      `no berth daemon answers at ${socket} (${problem}); start one with \`systemctl start berth\` or \`berth serve\`, or name another socket with --socket or BERTH_SOCKET`,
    );
    this.name = 'DaemonUnreachable';
  }
}

function isReason(word: string): word is Reason {
  return Object.hasOwn(REASONS, word);
}

/** The lines for standard error and the exit code. */
export function describeFailure(error: unknown): { text: string; exitCode: number } {
  if (error instanceof UsageError) {
    const help = error.command === undefined ? 'berth --help' : `berth ${error.command} --help`;
    return { text: `berth: ${error.message}\n  see \`${help}\`\n`, exitCode: EXIT_USAGE };
  }
  if (error instanceof CallError) return { text: withReason(error.message, error.reason || error.status), exitCode: EXIT_FAILURE };
  if (error instanceof RuntimeError) return { text: withReason(error.message, error.reason), exitCode: EXIT_FAILURE };
  if (error instanceof DaemonUnreachable) return { text: `berth: ${error.message}\n`, exitCode: EXIT_FAILURE };
  // Anything else is a defect, and its stack is what a report needs.
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { text: `berth: unexpected failure; ${REASONS.INTERNAL.action}\n${stack}\n`, exitCode: EXIT_FAILURE };
}

function withReason(message: string, reason: string): string {
  const action = isReason(reason) ? REASONS[reason].action : '';
  // Most messages end with advice of their own; the same words are not said twice.
  const advice = action === '' || message.includes(action) ? '' : `: ${action}`;
  return `berth: ${message}\n  reason ${reason}${advice}\n`;
}
