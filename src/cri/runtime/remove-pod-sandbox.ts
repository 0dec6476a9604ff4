/** RemovePodSandbox: removes a sandbox with its containers. */
import type { cri } from '../../gen/index.ts';
import type { CallContext } from '../call.ts';
import type { CriDependencies } from '../dependencies.ts';
import { nonEmpty } from '../fields.ts';

/** Idempotent; an unknown id is success. */
export async function removePodSandbox(
  deps: CriDependencies,
  request: cri.RemovePodSandboxRequest,
  call: CallContext,
): Promise<cri.RemovePodSandboxResponseInit> {
  await deps.sandboxes.remove(nonEmpty(request.podSandboxId, 'pod_sandbox_id'), call.signal);
  return {};
}
