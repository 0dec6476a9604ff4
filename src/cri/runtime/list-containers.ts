/** ListContainers: the containers that match, in any state. */
import type { cri } from '../../gen/index.ts';
import { containerLists } from '../convert-container.ts';
import { containerFilterFromWire } from '../convert-container-spec.ts';
import type { CriDependencies } from '../dependencies.ts';

/** From memory; no match is an empty list. */
export function listContainers(deps: CriDependencies, request: cri.ListContainersRequest): Uint8Array {
  return containerLists.response(deps.containers.list(containerFilterFromWire(request.filter)));
}
