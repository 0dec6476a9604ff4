/** StreamPodSandboxStats: ListPodSandboxStats in batches. */
import type { cri } from '../../gen/index.ts';
import type { CriDependencies } from '../dependencies.ts';
import { batches, matchingSandboxStats } from '../stats-lists.ts';

/** One sample for the whole stream, in batches of at least one item. */
export async function* streamPodSandboxStats(
  deps: CriDependencies,
  request: cri.StreamPodSandboxStatsRequest,
): AsyncGenerator<cri.StreamPodSandboxStatsResponseInit> {
  for (const podSandboxStats of batches(await matchingSandboxStats(deps, request.filter))) yield { podSandboxStats };
}
