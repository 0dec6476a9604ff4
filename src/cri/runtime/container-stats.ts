/** ContainerStats: usage of one running container. */

import { RuntimeError } from '../../errors/index.ts';
import type { cri } from '../../gen/index.ts';
import { containerStatsToWire } from '../convert-stats.ts';
import type { CriDependencies } from '../dependencies.ts';
import { nonEmpty } from '../fields.ts';

/** From the sampler; NOT_FOUND when it is gone, FAILED_PRECONDITION when it does not run. */
export async function containerStats(deps: CriDependencies, request: cri.ContainerStatsRequest): Promise<cri.ContainerStatsResponseInit> {
  const record = deps.containers.get(nonEmpty(request.containerId, 'container_id'));
  const sample = await deps.sampler.container(record.id);
  if (sample === undefined) {
    const message = `container ${record.spec.metadata.name} has no usage: it does not run; look at its state with \`berth inspect\``;
    throw new RuntimeError('precondition', 'CONTAINER_NOT_RUNNING', message);
  }
  return { stats: containerStatsToWire(sample) };
}
