/** StreamContainerStats: ListContainerStats in batches. */
import type { cri } from '../../gen/index.ts';
import type { CriDependencies } from '../dependencies.ts';
import { batches, matchingContainerStats } from '../stats-lists.ts';

/** One sample for the whole stream, in batches of at least one item. */
export async function* streamContainerStats(
  deps: CriDependencies,
  request: cri.StreamContainerStatsRequest,
): AsyncGenerator<cri.StreamContainerStatsResponseInit> {
  for (const containerStats of batches(await matchingContainerStats(deps, request.filter))) yield { containerStats };
}
