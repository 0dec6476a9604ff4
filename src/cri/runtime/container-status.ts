/** ContainerStatus: one container in full. */
import { cri } from '../../gen/index.ts';
import { containerStatuses } from '../convert-container.ts';
import type { CriDependencies } from '../dependencies.ts';
import { embedded } from '../encoded.ts';
import { nonEmpty } from '../fields.ts';
import { containerInfo } from '../verbose.ts';

/** Field number of ContainerStatusResponse.status (api.proto). */
const STATUS_FIELD = 1;

/** From memory; NOT_FOUND when it is gone. */
export function containerStatus(deps: CriDependencies, request: cri.ContainerStatusRequest): Uint8Array {
  const record = deps.containers.get(nonEmpty(request.containerId, 'container_id'));
  const status = embedded(STATUS_FIELD, containerStatuses.of(record));
  if (!request.verbose) return status;
  return Buffer.concat([status, cri.ContainerStatusResponse.encode({ info: containerInfo(record) }).finish()]);
}
