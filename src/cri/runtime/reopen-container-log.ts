/** ReopenContainerLog: after kubelet renamed the log for rotation. */
import type { cri } from '../../gen/index.ts';
import type { CriDependencies } from '../dependencies.ts';
import { nonEmpty } from '../fields.ts';

/** Returns when the new file exists; an error, and no file, when the container does not run. */
export async function reopenContainerLog(
  deps: CriDependencies,
  request: cri.ReopenContainerLogRequest,
): Promise<cri.ReopenContainerLogResponseInit> {
  await deps.containers.reopenLog(nonEmpty(request.containerId, 'container_id'));
  return {};
}
