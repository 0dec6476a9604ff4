/** StopContainer: the stop signal, a wait, SIGKILL; returns when the process is gone. */
import type { cri } from '../../gen/index.ts';
import type { CallContext } from '../call.ts';
import type { CriDependencies } from '../dependencies.ts';
import { nonEmpty, timeoutSeconds } from '../fields.ts';

/** Idempotent; an unknown id is success. Timeout 0 kills at once. */
export async function stopContainer(
  deps: CriDependencies,
  request: cri.StopContainerRequest,
  call: CallContext,
): Promise<cri.StopContainerResponseInit> {
  const id = nonEmpty(request.containerId, 'container_id');
  await deps.containers.stop(id, timeoutSeconds(request.timeout, 'timeout'), call.signal);
  return {};
}
