// What a scenario gets from the run it is part of, and how it is stopped: by its signal, at which it takes down what it
// made itself and rejects; what the run made, the run takes down.
import type { RunningRegistry } from '../registry.ts';
import type { Peer, PeerOptions, StartPeer } from './peers.ts';
import type { Figure } from './report.ts';

/** One run of the benchmark. */
export interface Bench {
  /** Scratch space, deleted at the end. */
  readonly dir: string;
  readonly registry: RunningRegistry;
  /** The peers to compare, each to be started with `options`. */
  readonly starters: Readonly<Record<string, StartPeer>>;
  readonly options: PeerOptions;
  /** How often to repeat what is measured in rounds; undefined leaves that to the scenario. */
  readonly rounds: number | undefined;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Peers with the workloads' image pulled, started when first asked for and ended with the run. */
  standing(): Promise<readonly StandingPeer[]>;
  /** Notes what went wrong beside the measuring, which fails the run at its end. */
  report(problems: readonly string[]): void;
}

/** A peer that runs pods. */
export interface StandingPeer extends Peer {
  /** Of the daemon, some seconds after its start and before its first request. */
  readonly idleRssMib: number;
}

/** Measures and answers figures; leaves standing peers without pods. */
export type Scenario = (bench: Bench) => Promise<Figure[]>;

/** Waits for `work`, but no longer than until `signal` aborts. */
export async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
