/** RuntimeConfig: the cgroup driver, which kubelet takes over and keeps until the node reboots. */
import type { cri } from '../../gen/index.ts';
import type { CriDependencies } from '../dependencies.ts';
import { cgroupDrivers } from '../enums.ts';

/** Always explicit: an absent `linux` would mean that berth leaves it to kubelet. */
export function runtimeConfig(deps: CriDependencies): cri.RuntimeConfigResponseInit {
  return { linux: { cgroupDriver: cgroupDrivers.toWire(deps.cgroups.driver) } };
}
