/** ListPodSandboxStats: usage of the ready pods that match. */
import type { cri } from '../../gen/index.ts';
import type { CriDependencies } from '../dependencies.ts';
import { matchingSandboxStats } from '../stats-lists.ts';

/** From one sample; no match is an empty list. */
export async function listPodSandboxStats(
  deps: CriDependencies,
  request: cri.ListPodSandboxStatsRequest,
): Promise<cri.ListPodSandboxStatsResponseInit> {
  return { stats: await matchingSandboxStats(deps, request.filter) };
}
