/** What the sandbox lifecycle works on: its ports to the rest of the daemon. */
import type { Cgroups } from '../cgroup/index.ts';
import type { EventBus } from '../events/index.ts';
import type { Logger } from '../log/index.ts';
import type { PodNetwork } from '../network/index.ts';
import type { OciRuntime } from '../runtime/index.ts';
import type { Records } from '../store/index.ts';
import type { ExitWaiter } from '../sys/index.ts';
import type { PodEvent, SandboxRecord } from './types.ts';

/** The containers of a sandbox, as its lifecycle needs them; implemented by container/. */
export interface PodContainers {
  /** Kills every container of the sandbox and waits until they are gone. */
  stopAll(sandboxId: string): Promise<void>;
  /** Stops and removes every container of the sandbox. */
  removeAll(sandboxId: string): Promise<void>;
}

/** Everything the sandbox lifecycle is given by main.ts. */
export interface SandboxHost {
  records: Records<SandboxRecord>;
  cgroups: Cgroups;
  network: PodNetwork;
  runtime: Pick<OciRuntime, 'resolve'>;
  events: EventBus<PodEvent>;
  exits: ExitWaiter;
  log: Logger;
  /** Run-time directory of the daemon. */
  state: string;
  /** Absolute path of catatonit. */
  pauseBinary: string;
  /** cgroup parent of pods that come without one. */
  defaultCgroupParent: string;
  /** Told how long each phase of a pod's start took. */
  phase(name: string, seconds: number): void;
}
