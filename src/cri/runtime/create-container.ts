/** CreateContainer: a container from an image that is on the node; nothing is pulled. */
import type { cri } from '../../gen/index.ts';
import type { CallContext } from '../call.ts';
import { containerSpecFromWire } from '../convert-container-spec.ts';
import type { CriDependencies } from '../dependencies.ts';
import { nonEmpty } from '../fields.ts';

/** Joins a create of the same (sandbox, name, attempt) in flight. The sandbox's own record is used, not `sandbox_config`. */
export async function createContainer(
  deps: CriDependencies,
  request: cri.CreateContainerRequest,
  call: CallContext,
): Promise<cri.CreateContainerResponseInit> {
  const sandboxId = nonEmpty(request.podSandboxId, 'pod_sandbox_id');
  return { containerId: await deps.containers.create(sandboxId, containerSpecFromWire(request.config), call.signal) };
}
