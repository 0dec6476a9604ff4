/**
 * The OCI configuration (runtime-spec config.json) of a container, out of what
 * the pod asks for, what the image says and what the host has. Pure: every
 * fact is an argument, so the same input always gives the same container.
 *
 * A container joins its pod's namespaces by path and has mounts of its own. Its
 * hostname is not in here: the runtime would set it in the pod's uts namespace.
 */
import { RuntimeError } from '../errors/index.ts';
import type { ImageConfig } from '../image/index.ts';
import type { HandlerInfo } from '../runtime/index.ts';
import type { SandboxRecord } from '../sandbox/index.ts';
import { DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS } from '../security/index.ts';
import type { DeviceNode } from './spec-devices.ts';
import type { HostFacts } from './spec-host.ts';
import { mountsOf, rootfsPropagationOf, type SharedFiles } from './spec-mounts.ts';
import { commandOf, environmentOf, workingDirectoryOf } from './spec-process.ts';
import { resourcesOf } from './spec-resources.ts';
import type { Confinement } from './spec-security.ts';
import type { ContainerSpec, ContainerUser, MountSpec } from './types.ts';

/** Everything a configuration is made of. */
export interface SpecInput {
  spec: Readonly<ContainerSpec>;
  image: Readonly<ImageConfig>;
  sandbox: Pick<SandboxRecord, 'id' | 'spec' | 'pins'>;
  /** /proc/PID/ns/pid of the pause process or of the target container; needed for pid modes 'pod' and 'target'. */
  pidNamespace?: string;
  files: SharedFiles;
  /** The volumes with resolved host paths; spec.mounts is not looked at. */
  volumes: readonly MountSpec[];
  devices: readonly DeviceNode[];
  confinement: Readonly<Confinement>;
  user: Readonly<ContainerUser>;
  /** Absolute path of the mounted root file system. */
  rootfs: string;
  /** runtime-spec linux.cgroupsPath. */
  cgroupsPath: string;
  handler: Pick<HandlerInfo, 'name' | 'features'>;
  facts: HostFacts;
  /** Processes a container may have; 0 is unlimited. */
  pidsLimit: number;
}

/** A configuration and what of the request the host made weaker. */
export interface BuiltSpec {
  config: Record<string, unknown>;
  /** For the log and verbose status; stable sentences. */
  clamped: string[];
}

/** Builds the configuration. Throws INVALID_ARGUMENT and UNSUPPORTED_SECURITY for what cannot be had. */
export function buildSpec(input: SpecInput): BuiltSpec {
  const { spec, confinement } = input;
  const { security } = spec;
  const clamped = confinement.capabilities.clamped.map((name) => `${name} is not berth’s to give on this host`);
  const propagation = rootfsPropagationOf(input.volumes);
  const config = {
    ociVersion: '1.0.2',
    process: processOf(input, clamped),
    root: { path: input.rootfs, readonly: security.readonlyRootfs },
    mounts: mountsOf({
      volumes: input.volumes,
      files: input.files,
      privileged: security.privileged,
      readonlyRootfs: security.readonlyRootfs,
      handler: input.handler,
    }),
    annotations: annotationsOf(input),
    linux: {
      cgroupsPath: input.cgroupsPath,
      namespaces: namespacesOf(input),
      devices: input.devices.map(({ access: _access, ...node }) => node),
      resources: {
        ...resourcesOf(spec.resources, input.facts, input.pidsLimit),
        devices: deviceRules(input.devices, security.privileged),
      },
      ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
      ...(confinement.seccomp === undefined ? {} : { seccomp: confinement.seccomp }),
      ...hiddenPaths(input),
      ...(confinement.selinuxLabel === undefined ? {} : { mountLabel: confinement.selinuxLabel }),
    },
  };
  return { config, clamped };
}

function processOf(input: SpecInput, clamped: string[]): Record<string, unknown> {
  const { spec, image, user, confinement, facts } = input;
  const { clamped: _clamped, ...capabilities } = confinement.capabilities;
  const openFiles = { type: 'RLIMIT_NOFILE', soft: facts.openFilesLimit, hard: facts.openFilesLimit };
  const oomScoreAdj = oomScoreAdjOf(input, clamped);
  return {
    terminal: spec.tty,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.supplementalGroups },
    args: commandOf(spec, image),
    env: environmentOf(spec, image, input.sandbox.spec.hostname),
    cwd: workingDirectoryOf(spec, image),
    capabilities,
    rlimits: [openFiles],
    noNewPrivileges: spec.security.noNewPrivs,
    ...(oomScoreAdj === undefined ? {} : { oomScoreAdj }),
    ...(confinement.apparmorProfile === undefined ? {} : { apparmorProfile: confinement.apparmorProfile }),
    ...(confinement.selinuxLabel === undefined ? {} : { selinuxLabel: confinement.selinuxLabel }),
  };
}

function oomScoreAdjOf({ spec, facts }: SpecInput, clamped: string[]): number | undefined {
  const asked = spec.resources.oomScoreAdj;
  if (asked === undefined || asked >= facts.leastOomScoreAdj) return asked;
  clamped.push(`oom_score_adj ${asked} is not berth’s to give on this host; it is ${facts.leastOomScoreAdj}`);
  return facts.leastOomScoreAdj;
}

interface Namespace {
  type: string;
  path?: string;
}

/** A namespace that is not listed is the host's. */
function namespacesOf(input: SpecInput): Namespace[] {
  const { pins } = input.sandbox;
  const join = (type: string, path: string | undefined): Namespace[] => (path === undefined ? [] : [{ type, path }]);
  // The v1 hierarchies are read through /proc/self/cgroup by old programs, which a cgroup namespace would mislead.
  const ownCgroup = input.facts.cgroupVersion === 2 && !input.spec.security.privileged;
  return [
    { type: 'mount' },
    ...join('network', pins.net),
    ...join('ipc', pins.ipc),
    ...join('uts', pins.uts),
    ...pidNamespaceOf(input),
    ...(ownCgroup ? [{ type: 'cgroup' }] : []),
  ];
}

function pidNamespaceOf({ spec, pidNamespace }: SpecInput): Namespace[] {
  const mode = spec.security.namespaces.pid;
  if (mode === 'node') return [];
  if (mode === 'container') return [{ type: 'pid' }];
  if (pidNamespace !== undefined) return [{ type: 'pid', path: pidNamespace }];
  const message = `the container asks for the pid namespace of its ${mode}, which has no process that holds it; create the pod anew`;
  throw new RuntimeError('precondition', 'NAMESPACE_FAILED', message);
}

/** Without a list of its own a container gets the default one: only kubelet leaves them empty on purpose, with a user namespace. */
function hiddenPaths({ spec: { security } }: SpecInput): { maskedPaths?: string[]; readonlyPaths?: string[] } {
  if (security.privileged) return {};
  const ownUsers = security.namespaces.user?.mode === 'pod';
  const orDefault = (asked: readonly string[], fallback: readonly string[]): string[] => [
    ...(asked.length > 0 || ownUsers ? asked : fallback),
  ];
  return {
    maskedPaths: orDefault(security.maskedPaths, DEFAULT_MASKED_PATHS),
    readonlyPaths: orDefault(security.readonlyPaths, DEFAULT_READONLY_PATHS),
  };
}

interface DeviceRule {
  allow: boolean;
  access: string;
  type?: string;
  major?: number;
  minor?: number;
}

/** Nothing but what is listed; the runtime adds /dev/null and the like. */
function deviceRules(devices: readonly DeviceNode[], privileged: boolean): DeviceRule[] {
  if (privileged) return [{ allow: true, access: 'rwm' }];
  const asked = devices.map(({ type, major, minor, access }) => ({ allow: true, type, major, minor, access }));
  return [{ allow: false, access: 'rwm' }, ...asked];
}

/** What sandboxed runtimes (Kata, gVisor) need to tell pods and containers apart, in containerd's names, which they know. */
function annotationsOf({ spec, sandbox }: SpecInput): Record<string, string> {
  const { name, namespace, uid } = sandbox.spec.metadata;
  return {
    'io.kubernetes.cri.container-type': 'container',
    'io.kubernetes.cri.container-name': spec.metadata.name,
    'io.kubernetes.cri.image-name': spec.image.userSpecifiedImage || spec.image.image,
    'io.kubernetes.cri.sandbox-id': sandbox.id,
    'io.kubernetes.cri.sandbox-name': name,
    'io.kubernetes.cri.sandbox-namespace': namespace,
    'io.kubernetes.cri.sandbox-uid': uid,
  };
}
