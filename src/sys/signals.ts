/**
 * Signal numbers by name, with the real-time ones in the two spellings that
 * image configurations use: counted up from SIGRTMIN and down from SIGRTMAX
 * (signal(7); glibc keeps 32 and 33 for itself, so SIGRTMIN is 34).
 */
import { constants } from 'node:os';

const SIGRTMIN = 34;
const SIGRTMAX = 64;
/** How far each spelling goes, as kill(1) lists them. */
const ABOVE_MIN = 15;
const BELOW_MAX = 14;

function realTime(): [string, number][] {
  const up = Array.from({ length: ABOVE_MIN }, (_, i): [string, number] => [`SIGRTMIN+${i + 1}`, SIGRTMIN + i + 1]);
  const down = Array.from({ length: BELOW_MAX }, (_, i): [string, number] => [`SIGRTMAX-${i + 1}`, SIGRTMAX - i - 1]);
  return [['SIGRTMIN', SIGRTMIN], ...up, ...down, ['SIGRTMAX', SIGRTMAX]];
}

/** `SIGTERM` → 15, `SIGRTMIN+3` → 37, `SIGRTMAX-2` → 62. */
export const SIGNALS: Readonly<Record<string, number>> = { ...constants.signals, ...Object.fromEntries(realTime()) };
