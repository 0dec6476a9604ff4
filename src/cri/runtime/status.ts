/**
 * Status: can this node run pods, and what can its handlers do. From memory,
 * without waiting: kubelet marks the node NotReady when it fails. Features
 * are told only where they were proven, since they reach the Node object.
 */
import type { cri } from '../../gen/index.ts';
import type { HandlerInfo } from '../../runtime/index.ts';
import type { CriDependencies } from '../dependencies.ts';
import { infoJson } from '../verbose.ts';

/** Conditions RuntimeReady and NetworkReady, and the usable handlers, the default one under "" too. */
export function status(deps: CriDependencies, request: cri.StatusRequest): cri.StatusResponseInit {
  const usable = deps.runtime.handlers.filter((handler) => handler.usable);
  return {
    status: { conditions: [runtimeCondition(deps.runtime.handlers, usable), networkCondition(deps)] },
    runtimeHandlers: usable.length === 0 ? [] : handlersToWire(deps, usable),
    features: deps.proven.supplementalGroupsPolicy ? { supplementalGroupsPolicy: true } : undefined,
    info: request.verbose ? statusInfo(deps) : undefined,
  };
}

function runtimeCondition(all: readonly HandlerInfo[], usable: readonly HandlerInfo[]): cri.RuntimeConditionInit {
  if (usable.length > 0) return { type: 'RuntimeReady', status: true };
  const problems = all.map((handler) => `${handler.name}: ${handler.problem}`).join('; ');
  const message = `no OCI runtime can run a container here (${problems}); run \`berth doctor\` and install crun or runc`;
  return { type: 'RuntimeReady', status: false, reason: 'NoUsableRuntime', message };
}

/** kubelet knows the reason NetworkPluginNotReady and then blocks only pods with a network of their own. */
function networkCondition(deps: CriDependencies): cri.RuntimeConditionInit {
  const { ready, reason, message } = deps.network.status();
  if (ready) return { type: 'NetworkReady', status: true };
  return { type: 'NetworkReady', status: false, reason: reason === '' ? 'NetworkPluginNotReady' : reason, message };
}

function handlersToWire(deps: CriDependencies, usable: readonly HandlerInfo[]): cri.RuntimeHandlerInit[] {
  const preferred = deps.runtime.resolve('');
  return [{ ...preferred, name: '' }, ...usable].map((handler) => ({
    name: handler.name,
    features: {
      recursiveReadOnlyMounts: deps.proven.recursiveReadOnlyMounts && handler.features.recursiveReadOnlyMounts,
      userNamespaces: deps.proven.userNamespaces && handler.features.idmapMounts,
    },
  }));
}

/** critest reads stateDir out of `config`. The configuration holds no secrets. */
function statusInfo(deps: CriDependencies): Record<string, string> {
  const { config, cgroups, runtime, network } = deps;
  return {
    config: infoJson({ stateDir: config.state, rootDir: config.root, ...config }),
    runtime: infoJson({ handlers: runtime.handlers }),
    network: infoJson(network.status()),
    cgroup: infoJson({ driver: cgroups.driver, ...cgroups.layout }),
  };
}
