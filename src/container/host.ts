/** What the container lifecycle works on: its ports to the rest of the daemon. */
import type { Cgroups } from '../cgroup/index.ts';
import type { EventBus } from '../events/index.ts';
import type { ImageService } from '../image/index.ts';
import type { Logger } from '../log/index.ts';
import type { OciRuntime } from '../runtime/index.ts';
import type { PodEvent, SandboxService } from '../sandbox/index.ts';
import type { Trash } from '../snapshot/index.ts';
import type { Records } from '../store/index.ts';
import type { HostFacts } from './spec-host.ts';
import type { ContainerRecord } from './types.ts';

/** Everything the container lifecycle is given by main.ts. */
export interface ContainerHost {
  records: Records<ContainerRecord>;
  sandboxes: Pick<SandboxService, 'get' | 'list'>;
  images: Pick<ImageService, 'find' | 'hold' | 'release'>;
  runtime: OciRuntime;
  cgroups: Cgroups;
  events: EventBus<PodEvent>;
  trash: Pick<Trash, 'discard'>;
  log: Logger;
  /** Run-time directory of the daemon. */
  state: string;
  /** Persistent directory of the daemon. */
  root: string;
  /** What of this host shapes every container’s OCI configuration. */
  facts: HostFacts;
  /** Processes a container may have; 0 is unlimited. */
  pidsLimit: number;
  /** Told how long each phase of a container's start took. */
  phase(name: string, seconds: number): void;
}
