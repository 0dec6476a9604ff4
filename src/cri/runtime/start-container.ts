/** StartContainer: runs the created container’s process, once. */
import type { cri } from '../../gen/index.ts';
import type { CallContext } from '../call.ts';
import type { CriDependencies } from '../dependencies.ts';
import { nonEmpty } from '../fields.ts';

/** Fails with NOT_FOUND, with FAILED_PRECONDITION when it was started before, or with the OCI runtime’s own words. */
export async function startContainer(
  deps: CriDependencies,
  request: cri.StartContainerRequest,
  call: CallContext,
): Promise<cri.StartContainerResponseInit> {
  await deps.containers.start(nonEmpty(request.containerId, 'container_id'), call.signal);
  return {};
}
