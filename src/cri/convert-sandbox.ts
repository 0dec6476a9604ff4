/** Sandbox records as answers. */
import { cri } from '../gen/index.ts';
import { type SandboxRecord, sandboxState } from '../sandbox/index.ts';
import { namespacesToWire } from './convert-security.ts';
import { EncodedList, EncodedOnce } from './encoded.ts';
import { sandboxStates } from './enums.ts';
import { toInt64 } from './int64.ts';

/** PodSandbox: a sandbox in brief. */
export function sandboxToWire(record: Readonly<SandboxRecord>): cri.PodSandboxInit {
  return {
    id: record.id,
    metadata: record.spec.metadata,
    state: sandboxStates.toWire(sandboxState(record)),
    createdAt: toInt64(record.createdAtNs),
    labels: record.spec.labels,
    annotations: record.spec.annotations,
    runtimeHandler: record.spec.runtimeHandler,
  };
}

/**
 * PodSandboxStatus. Addresses and namespaces are those of the record: kubelet
 * replaces a pod whose answer changes over a restart.
 */
export function sandboxStatusToWire(record: Readonly<SandboxRecord>): cri.PodSandboxStatusInit {
  const [ip, ...others] = record.network?.ips ?? [];
  return {
    id: record.id,
    metadata: record.spec.metadata,
    state: sandboxStates.toWire(sandboxState(record)),
    createdAt: toInt64(record.createdAtNs),
    network: { ip, additionalIps: others.map((other) => ({ ip: other })) },
    linux: { namespaces: { options: namespacesToWire(record.spec.namespaces) } },
    labels: record.spec.labels,
    annotations: record.spec.annotations,
    runtimeHandler: record.spec.runtimeHandler,
  };
}

/** Lists of sandboxes. */
export const sandboxLists = new EncodedList<Readonly<SandboxRecord>>((record) => cri.PodSandbox.encode(sandboxToWire(record)).finish());

/** Statuses of sandboxes. */
export const sandboxStatuses = new EncodedOnce<Readonly<SandboxRecord>>((record) =>
  cri.PodSandboxStatus.encode(sandboxStatusToWire(record)).finish(),
);
