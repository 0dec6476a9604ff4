/** ListContainerStats: usage of the running containers that match. */
import type { cri } from '../../gen/index.ts';
import type { CriDependencies } from '../dependencies.ts';
import { matchingContainerStats } from '../stats-lists.ts';

/** From one sample; no match is an empty list. */
export async function listContainerStats(
  deps: CriDependencies,
  request: cri.ListContainerStatsRequest,
): Promise<cri.ListContainerStatsResponseInit> {
  return { stats: await matchingContainerStats(deps, request.filter) };
}
