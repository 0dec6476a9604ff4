/** RemoveContainer: removes a container, killing it if need be. */
import type { cri } from '../../gen/index.ts';
import type { CallContext } from '../call.ts';
import type { CriDependencies } from '../dependencies.ts';
import { nonEmpty } from '../fields.ts';

/** Idempotent; an unknown id is success. */
export async function removeContainer(
  deps: CriDependencies,
  request: cri.RemoveContainerRequest,
  call: CallContext,
): Promise<cri.RemoveContainerResponseInit> {
  await deps.containers.remove(nonEmpty(request.containerId, 'container_id'), call.signal);
  return {};
}
