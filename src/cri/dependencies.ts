/** Everything the RPCs need, injected as one object by main.ts. Only what they call is asked for. */
import type { Cgroups } from '../cgroup/index.ts';
import type { Config } from '../config/index.ts';
import type { ContainerService } from '../container/index.ts';
import type { EventBus } from '../events/index.ts';
import type { ImageService } from '../image/index.ts';
import type { PodNetwork } from '../network/index.ts';
import type { OciRuntime } from '../runtime/index.ts';
import type { PodEvent, SandboxService } from '../sandbox/index.ts';
import type { Sampler } from '../stats/index.ts';

/**
 * Features that were shown to work end to end. What is true here goes into the
 * Node object and steers scheduling, so it is false until a test proves it.
 */
interface ProvenFeatures {
  recursiveReadOnlyMounts: boolean;
  userNamespaces: boolean;
  supplementalGroupsPolicy: boolean;
}

/** The ports of the CRI edge. */
export interface CriDependencies {
  readonly config: Config;
  /** Semantic version of the daemon (VersionResponse.runtime_version). */
  readonly version: string;
  readonly proven: ProvenFeatures;
  readonly sandboxes: SandboxService;
  readonly containers: ContainerService;
  readonly images: Pick<
    ImageService,
    'pull' | 'find' | 'list' | 'remove' | 'testRegistry' | 'fsUsage' | 'check' | 'load' | 'save' | 'push' | 'pulls' | 'pullsChanged'
  >;
  readonly sampler: Pick<Sampler, 'sample' | 'sandbox' | 'container'>;
  readonly network: Pick<PodNetwork, 'status' | 'setPodCidr'>;
  readonly runtime: Pick<OciRuntime, 'handlers' | 'resolve'>;
  readonly cgroups: Pick<Cgroups, 'driver' | 'layout'>;
  readonly events: Pick<EventBus<PodEvent>, 'subscribe'>;
  /** CLOCK_REALTIME, ns since the epoch. */
  readonly nowNs: () => bigint;
}
