/** The file mode creation mask, read without setting it: umask(2) can only do both, for all threads at once. */
import { readFileSync } from 'node:fs';

/** Permission bits that new files do not get; all of them when /proc does not tell (proc_pid_status(5) Umask). */
export function currentUmask(): number {
  const digits = /^Umask:\s*([0-7]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
  return digits === undefined ? 0o777 : Number.parseInt(digits, 8);
}
