/** What a sandbox may ask for: checked before the first side effect. */
import { RuntimeError } from '../errors/index.ts';
import { checkSysctls } from './sysctl.ts';
import type { SandboxSpec } from './types.ts';

const invalid = (message: string): RuntimeError => new RuntimeError('invalid', 'INVALID_ARGUMENT', message);

/** Throws for combinations no pod can have (api.proto NamespaceOption, PodSandboxConfig.hostname). */
export function validateSandbox(spec: SandboxSpec): void {
  const { namespaces } = spec;
  if (namespaces.network !== 'pod' && namespaces.network !== 'node') {
    throw invalid(`a pod’s network namespace is POD or NODE, not ${namespaces.network.toUpperCase()}`);
  }
  if (namespaces.ipc !== 'pod' && namespaces.ipc !== 'node') {
    throw invalid(`a pod’s ipc namespace is POD or NODE, not ${namespaces.ipc.toUpperCase()}`);
  }
  if (namespaces.pid === 'target') throw invalid('a pod’s pid namespace is POD, CONTAINER or NODE; TARGET is for containers');
  if (namespaces.user !== undefined && namespaces.user.mode !== 'node') {
    throw new RuntimeError(
      'unimplemented',
      'UNSUPPORTED_SECURITY',
      'user namespaces are not offered by this version; leave hostUsers unset in the pod',
    );
  }
  if (namespaces.network === 'pod' && spec.hostname === '') {
    throw invalid('hostname is empty; only a pod on the host’s network may leave it out');
  }
  checkSysctls(spec);
}
