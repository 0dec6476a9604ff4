/** ListPodSandbox: the sandboxes that match, ready or not. */
import type { cri } from '../../gen/index.ts';
import { sandboxLists } from '../convert-sandbox.ts';
import { sandboxFilterFromWire } from '../convert-sandbox-spec.ts';
import type { CriDependencies } from '../dependencies.ts';

/** From memory; no match is an empty list. */
export function listPodSandbox(deps: CriDependencies, request: cri.ListPodSandboxRequest): Uint8Array {
  return sandboxLists.response(deps.sandboxes.list(sandboxFilterFromWire(request.filter)));
}
