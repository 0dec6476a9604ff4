/** Version: who answers. kubelet compares `version` for equality and refuses an empty field. */
import type { cri } from '../../gen/index.ts';
import type { CriDependencies } from '../dependencies.ts';

/** Version of the CRI's own framing: a constant since its beginning (kubelet kuberuntime_manager.go kubeRuntimeAPIVersion). */
const FRAMING_VERSION = '0.1.0';
const RUNTIME_NAME = 'berth';
const API_VERSION = 'v1';

/** Answered while berth is still starting. */
export function version(deps: CriDependencies): cri.VersionResponseInit {
  return { version: FRAMING_VERSION, runtimeName: RUNTIME_NAME, runtimeVersion: deps.version, runtimeApiVersion: API_VERSION };
}
