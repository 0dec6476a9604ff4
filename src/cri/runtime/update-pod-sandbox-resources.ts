/** UpdatePodSandboxResources: kubelet tells of a resize before it writes the pod’s cgroup; the cgroup itself is kubelet’s. */
import type { cri } from '../../gen/index.ts';
import { resourcesFromWire } from '../convert-resources.ts';
import type { CriDependencies } from '../dependencies.ts';
import { nonEmpty } from '../fields.ts';

/** Cheap and idempotent: it only records. Any error makes kubelet refuse the resize. */
export function updatePodSandboxResources(
  deps: CriDependencies,
  request: cri.UpdatePodSandboxResourcesRequest,
): cri.UpdatePodSandboxResourcesResponseInit {
  const id = nonEmpty(request.podSandboxId, 'pod_sandbox_id');
  const resources = resourcesFromWire(request.resources, 'resources');
  deps.sandboxes.updateResources(id, resources, resourcesFromWire(request.overhead, 'overhead'));
  return {};
}
