/** Is the clock right? Certificates, image signatures and figures depend on it. */
import { isClockSynchronized } from '../../sys/index.ts';
import { type Check, type CheckGroup, fail, ok, warn } from './check.ts';

/** No berth is older than this: an earlier clock has lost its battery. */
const EARLIEST_YEAR = 2025;
/** A later clock has been set by mistake. */
const LATEST_YEAR = 2100;

export const clockChecks: CheckGroup = {
  name: 'clock',
  run: () => [yearCheck(new Date()), syncCheck(isClockSynchronized())],
};

/** Judges the date. */
export function yearCheck(now: Date): Check {
  const year = now.getUTCFullYear();
  const sane = year >= EARLIEST_YEAR && year <= LATEST_YEAR;
  if (sane) return ok('clock.year', `the clock says ${year}`);
  return fail(
    'clock.year',
    `the clock says ${year}: certificates of registries will not be accepted`,
    'set the clock, and keep it right with chrony or systemd-timesyncd',
  );
}

/** Judges the kernel's opinion. */
export function syncCheck(synchronized: boolean): Check {
  if (synchronized) return ok('clock.synchronized', 'the clock is kept synchronized');
  return warn(
    'clock.synchronized',
    'nothing keeps the clock synchronized',
    'install chrony or enable systemd-timesyncd, unless the hypervisor sets the clock',
  );
}
