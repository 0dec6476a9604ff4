/** PodSandboxConfig as the domain wants it, checked field by field before any side effect. */
import { isIP } from 'node:net';
import { cri } from '../gen/index.ts';
import type { DnsConfig, PortMapping } from '../network/index.ts';
import type { SandboxFilter, SandboxMetadata, SandboxSpec } from '../sandbox/index.ts';
import { resourcesFromWire } from './convert-resources.ts';
import { apparmorFromWire, namespacesFromWire, seccompFromWire, selinuxFromWire } from './convert-security.ts';
import { protocols, sandboxStates } from './enums.ts';
import { absolutePath, defined, invalid, nonEmpty, optionalUserId, port, required, singleLine, text, userId } from './fields.ts';

/** HOST_NAME_MAX of Linux (sethostname(2)); kubelet's setHostnameAsFQDN goes up to it. */
const HOSTNAME_MAX = 64;
/** One DNS label, for a hostname made from the pod's name. */
const LABEL_MAX = 63;

const ABSENT_LINUX = cri.LinuxPodSandboxConfig.decode(new Uint8Array());
const ABSENT_SECURITY = cri.LinuxSandboxSecurityContext.decode(new Uint8Array());

/** The spec of a RunPodSandbox request. Throws INVALID_ARGUMENT naming the field. */
export function sandboxSpecFromWire(request: cri.RunPodSandboxRequest): SandboxSpec {
  const config = required(request.config, 'config');
  const linux = config.linux ?? ABSENT_LINUX;
  const metadata = metadataFromWire(config.metadata, 'config.metadata');
  const security = securityFromWire(linux.securityContext ?? ABSENT_SECURITY, 'config.linux.security_context');
  const shared = security.namespaces.network === 'node';
  return defined<SandboxSpec>({
    metadata,
    hostname: hostnameOf(config.hostname, shared ? '' : metadata.name),
    logDirectory: config.logDirectory === '' ? '' : absolutePath(config.logDirectory, 'config.log_directory'),
    dns: dnsFromWire(config.dnsConfig, 'config.dns_config'),
    portMappings: config.portMappings.map((mapping, at) => portFromWire(mapping, `config.port_mappings[${at}]`)),
    labels: config.labels,
    annotations: config.annotations,
    runtimeHandler: request.runtimeHandler,
    cgroupParent: text(linux.cgroupParent, 'config.linux.cgroup_parent'),
    sysctls: linux.sysctls,
    ...security,
    resources: resourcesFromWire(linux.resources, 'config.linux.resources'),
    overhead: resourcesFromWire(linux.overhead, 'config.linux.overhead'),
  });
}

/** The filter of the list calls; an absent one matches everything. */
export function sandboxFilterFromWire(filter: cri.PodSandboxFilter | null): SandboxFilter {
  if (filter === null) return {};
  return defined<SandboxFilter>({
    id: filter.id === '' ? undefined : filter.id,
    state: filter.state === null ? undefined : sandboxStates.fromWire(filter.state.state, 'filter.state.state'),
    labels: Object.keys(filter.labelSelector).length === 0 ? undefined : filter.labelSelector,
  });
}

function metadataFromWire(wire: cri.PodSandboxMetadata | null, field: string): SandboxMetadata {
  const metadata = required(wire, field);
  return {
    name: nonEmpty(metadata.name, `${field}.name`),
    namespace: nonEmpty(metadata.namespace, `${field}.namespace`),
    uid: nonEmpty(metadata.uid, `${field}.uid`),
    attempt: metadata.attempt,
  };
}

type Security = Pick<
  SandboxSpec,
  'namespaces' | 'privileged' | 'readonlyRootfs' | 'runAsUser' | 'runAsGroup' | 'supplementalGroups' | 'seccomp' | 'apparmor' | 'selinux'
>;

function securityFromWire(wire: cri.LinuxSandboxSecurityContext, field: string): Security {
  if (wire.runAsGroup !== null && wire.runAsUser === null) throw invalid(`${field}.run_as_group`, 'is set without run_as_user');
  return defined<Security>({
    namespaces: namespacesFromWire(wire.namespaceOptions, `${field}.namespace_options`),
    privileged: wire.privileged,
    readonlyRootfs: wire.readonlyRootfs,
    runAsUser: optionalUserId(wire.runAsUser, `${field}.run_as_user`),
    runAsGroup: optionalUserId(wire.runAsGroup, `${field}.run_as_group`),
    supplementalGroups: wire.supplementalGroups.map((group, at) => userId(group, `${field}.supplemental_groups[${at}]`)),
    seccomp: seccompFromWire(wire.seccomp, `${field}.seccomp`),
    apparmor: apparmorFromWire(wire.apparmor, `${field}.apparmor`),
    selinux: selinuxFromWire(wire.selinuxOptions, `${field}.selinux_options`),
  });
}

/** kubelet always sends a hostname for a pod with its own; crictl's examples do not, so the pod's name stands in. */
function hostnameOf(hostname: string, podName: string): string {
  const field = 'config.hostname';
  if (hostname === '')
    return podName
      .slice(0, LABEL_MAX)
      .replaceAll(/[^a-zA-Z0-9.-]/g, '-')
      .replace(/[.-]+$/, '');
  if (Buffer.byteLength(hostname) > HOSTNAME_MAX) throw invalid(field, `is longer than ${HOSTNAME_MAX} bytes`);
  if (!/^[a-zA-Z0-9_.-]+$/.test(hostname)) throw invalid(field, `is ${hostname}; letters, digits, dots and dashes are possible`);
  return hostname;
}

/** Entries become lines and words of resolv.conf: a line break would add directives. */
function dnsFromWire(wire: cri.DNSConfig | null, field: string): DnsConfig | undefined {
  if (wire === null) return undefined;
  const lines = (values: string[], name: string): string[] => values.map((value, at) => singleLine(value, `${field}.${name}[${at}]`));
  return { servers: lines(wire.servers, 'servers'), searches: lines(wire.searches, 'searches'), options: lines(wire.options, 'options') };
}

function portFromWire(wire: cri.PortMapping, field: string): PortMapping {
  if (wire.hostIp !== '' && isIP(wire.hostIp) === 0) throw invalid(`${field}.host_ip`, `is ${wire.hostIp}; an IP address is needed`);
  return {
    protocol: protocols.fromWire(wire.protocol, `${field}.protocol`),
    hostPort: port(wire.hostPort, 0, `${field}.host_port`),
    // without a host port nothing is published, and the container's is only documentation
    containerPort: port(wire.containerPort, wire.hostPort === 0 ? 0 : 1, `${field}.container_port`),
    hostIp: wire.hostIp,
  };
}
