/**
 * What a check of `berth doctor` is: a stable id that scripts may rely on, a
 * verdict, what was seen, and what to do when that is not fine. Checks only
 * look: whatever they have to make to see something is gone afterwards.
 */
import type { Config } from '../../config/index.ts';

/** How bad it is: fail means that pods will not run, warn that something is less than it could be. */
export type Severity = 'ok' | 'warn' | 'fail';

/** One result. */
export interface Check {
  /** Stable: GROUP.WHAT. */
  readonly id: string;
  readonly severity: Severity;
  /** What was seen. */
  readonly message: string;
  /** What to do, an imperative sentence; '' when there is nothing to do. */
  readonly advice: string;
}

/** What checks look at. */
export interface DoctorContext {
  readonly config: Config;
  /** The socket asked: that of the command line, or else of the configuration. */
  readonly socket: string;
}

/** One group of checks, a file each. */
export interface CheckGroup {
  /** First part of its ids. */
  readonly name: string;
  run(context: DoctorContext): Promise<Check[]> | Check[];
}

/** A check that found all well. */
export function ok(id: string, message: string): Check {
  return { id, severity: 'ok', message, advice: '' };
}

/** A check that found something less than it could be. */
export function warn(id: string, message: string, advice: string): Check {
  return { id, severity: 'warn', message, advice };
}

/** A check that found what keeps pods from running. */
export function fail(id: string, message: string, advice: string): Check {
  return { id, severity: 'fail', message, advice };
}
