/** PodSandboxStatus: a sandbox and, taken at the same moment, its containers (evented PLEG relies on both). */
import { cri } from '../../gen/index.ts';
import { containerStatuses } from '../convert-container.ts';
import { sandboxStatuses } from '../convert-sandbox.ts';
import type { CriDependencies } from '../dependencies.ts';
import { embedded } from '../encoded.ts';
import { nonEmpty } from '../fields.ts';
import { toInt64 } from '../int64.ts';
import { sandboxInfo } from '../verbose.ts';

/** Field numbers of PodSandboxStatusResponse (api.proto). */
const STATUS_FIELD = 1;
const CONTAINERS_FIELD = 3;

/** From memory; NOT_FOUND when it is gone. */
export function podSandboxStatus(deps: CriDependencies, request: cri.PodSandboxStatusRequest): Uint8Array {
  const record = deps.sandboxes.get(nonEmpty(request.podSandboxId, 'pod_sandbox_id'));
  const containers = deps.containers.list({ sandboxId: record.id });
  const rest: cri.PodSandboxStatusResponseInit = {
    timestamp: toInt64(deps.nowNs()),
    info: request.verbose ? sandboxInfo(record) : undefined,
  };
  return Buffer.concat([
    embedded(STATUS_FIELD, sandboxStatuses.of(record)),
    ...containers.map((container) => embedded(CONTAINERS_FIELD, containerStatuses.of(container))),
    cri.PodSandboxStatusResponse.encode(rest).finish(),
  ]);
}
