/** RunPodSandbox: a sandbox that is READY, or an error and nothing left behind. */
import type { cri } from '../../gen/index.ts';
import type { CallContext } from '../call.ts';
import { sandboxSpecFromWire } from '../convert-sandbox-spec.ts';
import type { CriDependencies } from '../dependencies.ts';

/** Joins a run of the same pod and attempt in flight. */
export async function runPodSandbox(
  deps: CriDependencies,
  request: cri.RunPodSandboxRequest,
  call: CallContext,
): Promise<cri.RunPodSandboxResponseInit> {
  return { podSandboxId: await deps.sandboxes.run(sandboxSpecFromWire(request), call.signal) };
}
