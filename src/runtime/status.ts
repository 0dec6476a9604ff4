/** Exit statuses as container runtimes count them: one number for both ways to end. */
import type { ExitStatus } from '../sys/index.ts';

/** Added to a signal's number, as shells do. */
const SIGNAL_BASE = 128;

/** 0..255, 128+n for signal n; undefined when nobody could know. */
export function exitCodeOf(status: ExitStatus): number | undefined {
  return status.signal === undefined ? status.code : SIGNAL_BASE + status.signal;
}
