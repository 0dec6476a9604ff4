/** StopPodSandbox: stops the containers and takes the network down. */
import type { cri } from '../../gen/index.ts';
import type { CallContext } from '../call.ts';
import type { CriDependencies } from '../dependencies.ts';
import { nonEmpty } from '../fields.ts';

/** Idempotent; an unknown id is success. */
export async function stopPodSandbox(
  deps: CriDependencies,
  request: cri.StopPodSandboxRequest,
  call: CallContext,
): Promise<cri.StopPodSandboxResponseInit> {
  await deps.sandboxes.stop(nonEmpty(request.podSandboxId, 'pod_sandbox_id'), call.signal);
  return {};
}
