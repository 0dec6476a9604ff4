/** UpdateRuntimeConfig: the node’s pod CIDR from the control plane. */
import type { cri } from '../../gen/index.ts';
import type { CriDependencies } from '../dependencies.ts';

/** An empty CIDR changes nothing. */
export function updateRuntimeConfig(deps: CriDependencies, request: cri.UpdateRuntimeConfigRequest): cri.UpdateRuntimeConfigResponseInit {
  const cidr = request.runtimeConfig?.networkConfig?.podCidr ?? '';
  if (cidr !== '') deps.network.setPodCidr(cidr);
  return {};
}
