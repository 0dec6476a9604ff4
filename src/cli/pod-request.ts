/**
 * From the flags of `berth run` to the CRI messages, as kubelet would fill
 * them in for a small pod. Pure: ids and directories come from the caller.
 */
import Long from 'long';
import { cri } from '../gen/index.ts';
import type { FlagValues } from './command.ts';
import { parseCpus, parseMemory } from './units.ts';

const CPU_PERIOD_US = 100_000;
/** 1024 shares are one cpu (api.proto LinuxContainerResources.cpu_shares). */
const SHARES_PER_CPU = 1024;
const MIN_CPU_SHARES = 2;

/** Paths hidden from containers, as Kubernetes' default proc mount has them. */
const MASKED_PATHS = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** Who the pod is and where its logs go. */
export interface PodIdentity {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly logDirectory: string;
}

/** The pod's configuration. */
export function podConfig(flags: FlagValues, { name, namespace, uid, logDirectory }: PodIdentity): cri.PodSandboxConfigInit {
  const hostNetwork = flags.on('host-network');
  return {
    metadata: { name, namespace, uid, attempt: 0 },
    hostname: hostNetwork ? '' : (flags.text('hostname') ?? name),
    logDirectory,
    labels: { ...pairs(flags.all('label')), ...podLabels({ name, namespace, uid }) },
    portMappings: flags.all('publish').map(portMapping),
    linux: {
      securityContext: {
        namespaceOptions: namespaceOptions(hostNetwork),
        seccomp: { profileType: cri.SecurityProfile.ProfileType.RuntimeDefault },
      },
    },
  };
}

/** What a container needs beside the flags. */
export interface ContainerIdentity {
  readonly name: string;
  /** The pod it is for; tools such as crictl and cAdvisor read it from the labels. */
  readonly pod: { readonly name: string; readonly namespace: string; readonly uid: string };
  /** Id of the image. */
  readonly imageId: string;
  /** As the user wrote it. */
  readonly reference: string;
  readonly command: readonly string[];
  readonly hostNetwork: boolean;
}

/** The container's configuration. */
export function containerConfig(
  flags: FlagValues,
  { name, pod, imageId, reference, command, hostNetwork }: ContainerIdentity,
): cri.ContainerConfigInit {
  return {
    metadata: { name, attempt: 0 },
    image: { image: imageId, userSpecifiedImage: reference },
    // What follows -- takes the place of the image's Cmd and leaves its entrypoint, as with kubectl run.
    args: command,
    envs: flags.all('env').map((pair) => {
      const [key, value] = split(pair);
      return { key, value: Buffer.from(value) };
    }),
    mounts: flags.all('volume').map(mount),
    labels: { ...pairs(flags.all('label')), ...podLabels(pod), 'io.kubernetes.container.name': name },
    logPath: `${name}.log`,
    linux: {
      resources: resources(flags),
      securityContext: {
        namespaceOptions: namespaceOptions(hostNetwork),
        seccomp: { profileType: cri.SecurityProfile.ProfileType.RuntimeDefault },
        maskedPaths: MASKED_PATHS,
        readonlyPaths: READONLY_PATHS,
      },
    },
  };
}

/** Whose something is, as kubelet labels it. */
function podLabels({ name, namespace, uid }: ContainerIdentity['pod']): Record<string, string> {
  return { 'io.kubernetes.pod.name': name, 'io.kubernetes.pod.namespace': namespace, 'io.kubernetes.pod.uid': uid };
}

function namespaceOptions(hostNetwork: boolean): cri.NamespaceOptionInit {
  return {
    network: hostNetwork ? cri.NamespaceMode.NODE : cri.NamespaceMode.POD,
    pid: cri.NamespaceMode.CONTAINER,
    ipc: cri.NamespaceMode.POD,
  };
}

function resources(flags: FlagValues): cri.LinuxContainerResourcesInit {
  const millis = parseCpus(flags.text('cpus') ?? '');
  const memory = parseMemory(flags.text('memory') ?? '');
  return {
    ...(millis !== undefined && {
      cpuPeriod: Long.fromNumber(CPU_PERIOD_US),
      cpuQuota: Long.fromNumber((millis * CPU_PERIOD_US) / 1000),
      cpuShares: Long.fromNumber(Math.max(MIN_CPU_SHARES, Math.floor((millis * SHARES_PER_CPU) / 1000))),
    }),
    ...(memory !== undefined && { memoryLimitInBytes: Long.fromString(memory.toString()) }),
  };
}

/** `[IP:]HOST:CONTAINER[/PROTOCOL]`; its form was checked with the flag. */
export function portMapping(text: string): cri.PortMappingInit {
  const [, hostIp = '', host = '0', container = '0', protocol = 'tcp'] = /^(?:(.+):)?(\d+):(\d+)(?:\/(\w+))?$/.exec(text) ?? [];
  return {
    hostIp: hostIp.replace(/^\[(.*)\]$/, '$1'),
    hostPort: Number(host),
    containerPort: Number(container),
    protocol: { tcp: cri.Protocol.TCP, udp: cri.Protocol.UDP, sctp: cri.Protocol.SCTP }[protocol] ?? cri.Protocol.TCP,
  };
}

function mount(text: string): cri.MountInit {
  const [hostPath = '', containerPath = '', mode] = text.split(':');
  return { hostPath, containerPath, readonly: mode === 'ro', propagation: cri.MountPropagation.PROPAGATION_PRIVATE };
}

function split(pair: string): [string, string] {
  const equals = pair.indexOf('=');
  return [pair.slice(0, equals), pair.slice(equals + 1)];
}

function pairs(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(given.map(split));
}

/** A pod name made of an image's: the last part of its path as a DNS label, and a suffix to tell two apart. */
export function nameFromImage(reference: string, suffix: string): string {
  const base = reference.replace(/@.*$/, '').replace(/^.*\//, '').replace(/:.*$/, '').toLowerCase();
  const label =
    base
      .replace(/[^a-z0-9-]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 50) || 'container';
  return suffix === '' ? label : `${label}-${suffix}`;
}
