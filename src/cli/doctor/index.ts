/** Every group of checks in the order they are shown, and how they are run. */
import { messageOf } from '../../errors/index.ts';
import { cgroupChecks } from './cgroup.ts';
import { type Check, type CheckGroup, type DoctorContext, fail, type Severity } from './check.ts';
import { clockChecks } from './clock.ts';
import { daemonChecks } from './daemon.ts';
import { diskChecks } from './disk.ts';
import { kernelChecks } from './kernel.ts';
import { networkChecks } from './network.ts';
import { overlayChecks } from './overlay.ts';
import { privilegeChecks } from './privileges.ts';
import { programChecks } from './programs.ts';

export type { Check, DoctorContext, Severity } from './check.ts';

const GROUPS: readonly CheckGroup[] = [
  kernelChecks,
  privilegeChecks,
  cgroupChecks,
  overlayChecks,
  programChecks,
  networkChecks,
  diskChecks,
  clockChecks,
  daemonChecks,
];

/** Runs every check. A group that breaks is itself a failed check: the others still run. */
export async function examine(context: DoctorContext): Promise<Check[]> {
  const found: Check[] = [];
  for (const group of GROUPS) {
    try {
      found.push(...(await group.run(context)));
    } catch (error) {
      found.push(
        fail(
          `${group.name}.error`,
          `the ${group.name} checks could not be made: ${messageOf(error)}`,
          'run as root; if it stays, report it',
        ),
      );
    }
  }
  return found;
}

/** 0 all well, 1 warnings, 2 failures. */
export function verdict(checks: readonly Check[]): number {
  const has = (severity: Severity): boolean => checks.some((check) => check.severity === severity);
  return has('fail') ? 2 : has('warn') ? 1 : 0;
}
