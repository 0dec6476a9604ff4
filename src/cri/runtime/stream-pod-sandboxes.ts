/** StreamPodSandboxes: ListPodSandbox in batches, for lists beyond the message limit. */
import type { cri } from '../../gen/index.ts';
import { sandboxLists } from '../convert-sandbox.ts';
import { sandboxFilterFromWire } from '../convert-sandbox-spec.ts';
import type { CriDependencies } from '../dependencies.ts';

/** One consistent list, in batches of at least one item, then end of stream. */
export function streamPodSandboxes(deps: CriDependencies, request: cri.StreamPodSandboxesRequest): AsyncIterable<Uint8Array> {
  return sandboxLists.responses(deps.sandboxes.list(sandboxFilterFromWire(request.filter)));
}
