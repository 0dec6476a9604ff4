/** StreamContainers: ListContainers in batches, for lists beyond the message limit. */
import type { cri } from '../../gen/index.ts';
import { containerLists } from '../convert-container.ts';
import { containerFilterFromWire } from '../convert-container-spec.ts';
import type { CriDependencies } from '../dependencies.ts';

/** One consistent list, in batches of at least one item, then end of stream. */
export function streamContainers(deps: CriDependencies, request: cri.StreamContainersRequest): AsyncIterable<Uint8Array> {
  return containerLists.responses(deps.containers.list(containerFilterFromWire(request.filter)));
}
