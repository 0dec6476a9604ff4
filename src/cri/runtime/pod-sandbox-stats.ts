/** PodSandboxStats: usage of one ready pod. */

import { RuntimeError } from '../../errors/index.ts';
import type { cri } from '../../gen/index.ts';
import { sandboxStatsToWire } from '../convert-stats.ts';
import type { CriDependencies } from '../dependencies.ts';
import { nonEmpty } from '../fields.ts';

/** From the sampler; NOT_FOUND when it is gone, FAILED_PRECONDITION when it is stopped. */
export async function podSandboxStats(
  deps: CriDependencies,
  request: cri.PodSandboxStatsRequest,
): Promise<cri.PodSandboxStatsResponseInit> {
  const record = deps.sandboxes.get(nonEmpty(request.podSandboxId, 'pod_sandbox_id'));
  const sample = await deps.sampler.sandbox(record.id);
  if (sample === undefined) {
    const { name, namespace } = record.spec.metadata;
    const message = `pod ${namespace}/${name} has no usage: its sandbox is stopped; create a new sandbox`;
    throw new RuntimeError('precondition', 'SANDBOX_NOT_READY', message);
  }
  return { stats: sandboxStatsToWire(sample, deps.nowNs()) };
}
