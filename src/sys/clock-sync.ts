/**
 * Does anything keep this machine's clock right? The kernel knows: whoever
 * disciplines the clock (ntpd, chrony, timesyncd, a hypervisor's agent) clears
 * its "unsynchronized" state, which comes back when nobody does so for hours.
 */
import { check, libcFunction } from './libc.ts';

/** sizeof(struct timex) on 64-bit Linux (linux/timex.h); all zeros means: read only. */
const TIMEX_BYTES = 208;
/** Clock state of an unsynchronized clock (adjtimex(2)). */
const TIME_ERROR = 5;

const adjtimex = libcFunction('int adjtimex(void *timex)');

/** True while the kernel holds the clock for synchronized; needs no privilege. Throws SysError. */
export function isClockSynchronized(): boolean {
  return check(adjtimex(Buffer.alloc(TIMEX_BYTES)), 'adjtimex') !== TIME_ERROR;
}
