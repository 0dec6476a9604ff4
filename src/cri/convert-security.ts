/** Namespaces, users and profiles as pods and containers ask for them. */
import type { cri } from '../gen/index.ts';
import type { IdMapping, NamespaceMode, NamespaceOptions, SecurityProfile, SelinuxOptions } from '../sandbox/index.ts';
import { namespaceModes, profileTypes } from './enums.ts';
import { absolutePath, defined, invalid, nonEmpty, text } from './fields.ts';

/** An absent message is all zeros: everything shared by the pod. */
export function namespacesFromWire(wire: cri.NamespaceOption | null, field: string): NamespaceOptions {
  if (wire === null) return { network: 'pod', pid: 'pod', ipc: 'pod' };
  const pid = namespaceModes.fromWire(wire.pid, `${field}.pid`);
  return defined<NamespaceOptions>({
    network: podOrNode(wire.network, `${field}.network`),
    pid,
    ipc: podOrNode(wire.ipc, `${field}.ipc`),
    targetId: pid === 'target' ? nonEmpty(wire.targetId, `${field}.target_id`) : undefined,
    user: userNamespace(wire.usernsOptions, `${field}.userns_options`),
  });
}

/** The same as it was asked for. */
export function namespacesToWire(options: NamespaceOptions): cri.NamespaceOptionInit {
  return {
    network: namespaceModes.toWire(options.network),
    pid: namespaceModes.toWire(options.pid),
    ipc: namespaceModes.toWire(options.ipc),
    targetId: options.targetId,
    usernsOptions:
      options.user === undefined
        ? undefined
        : { mode: namespaceModes.toWire(options.user.mode), uids: options.user.uids, gids: options.user.gids },
  };
}

function podOrNode(wire: number, field: string): NamespaceMode {
  const mode = namespaceModes.fromWire(wire, field);
  if (mode !== 'pod' && mode !== 'node') throw invalid(field, `is ${mode.toUpperCase()}; only POD and NODE are possible`);
  return mode;
}

function userNamespace(wire: cri.UserNamespace | null, field: string): NamespaceOptions['user'] {
  if (wire === null) return undefined;
  const mode = podOrNode(wire.mode, `${field}.mode`);
  if (mode === 'node') return { mode, uids: [], gids: [] };
  const uids = podMap(wire.uids, `${field}.uids`);
  const gids = podMap(wire.gids, `${field}.gids`);
  return { mode, uids, gids };
}

/** A pod's map is one line that gives root inside an id outside: what idmapped mounts and the kubelet agree on. */
function podMap(wire: cri.IDMapping[], field: string): IdMapping[] {
  if (wire.length !== 1) throw invalid(field, `has ${wire.length} lines; exactly one is possible`);
  const lines = idMappings(wire, field);
  if (lines.some((line) => line.containerId !== 0)) throw invalid(`${field}[0].container_id`, 'is not 0; root must be mapped');
  return lines;
}

/** Lines of a map; each at least one id long. */
export function idMappings(wire: cri.IDMapping[], field: string): IdMapping[] {
  return wire.map((line, at) => {
    if (line.length === 0) throw invalid(`${field}[${at}].length`, 'is 0');
    return { hostId: line.hostId, containerId: line.containerId, length: line.length };
  });
}

/** A seccomp profile, the file named by an absolute path. Absent is unconfined. */
export function seccompFromWire(wire: cri.SecurityProfile | null, field: string): SecurityProfile | undefined {
  return profile(wire, field, absolutePath);
}

/** An AppArmor profile, named as it is loaded. */
export function apparmorFromWire(wire: cri.SecurityProfile | null, field: string): SecurityProfile | undefined {
  return profile(wire, field, nonEmpty);
}

function profile(
  wire: cri.SecurityProfile | null,
  field: string,
  checkRef: (value: string, field: string) => string,
): SecurityProfile | undefined {
  if (wire === null) return undefined;
  const type = profileTypes.fromWire(wire.profileType, `${field}.profile_type`);
  return { type, localhostRef: type === 'localhost' ? checkRef(wire.localhostRef, `${field}.localhost_ref`) : '' };
}

/** An SELinux label; one with no part set is none. */
export function selinuxFromWire(wire: cri.SELinuxOption | null, field: string): SelinuxOptions | undefined {
  if (wire === null || [wire.user, wire.role, wire.type, wire.level].every((part) => part === '')) return undefined;
  return {
    user: text(wire.user, `${field}.user`),
    role: text(wire.role, `${field}.role`),
    type: text(wire.type, `${field}.type`),
    level: text(wire.level, `${field}.level`),
  };
}
