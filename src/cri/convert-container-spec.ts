/** ContainerConfig as the domain wants it, checked field by field before any side effect. */
import type { ContainerFilter, ContainerSecurity, ContainerSpec, DeviceSpec, ImageSpec, MountSpec } from '../container/index.ts';
import { cri } from '../gen/index.ts';
import { resourcesFromWire } from './convert-resources.ts';
import { apparmorFromWire, idMappings, namespacesFromWire, seccompFromWire, selinuxFromWire } from './convert-security.ts';
import { containerStates, groupPolicies, propagations, stopSignalName } from './enums.ts';
import { absolutePath, defined, invalid, nonEmpty, optionalUserId, relativePath, required, text, userId } from './fields.ts';

const ABSENT_LINUX = cri.LinuxContainerConfig.decode(new Uint8Array());
const ABSENT_SECURITY = cri.LinuxContainerSecurityContext.decode(new Uint8Array());
const MOUNT_OPTIONS: ReadonlySet<string> = new Set(['noexec', 'nodev', 'nosuid']);

/** The spec of a CreateContainer request's config. Throws INVALID_ARGUMENT naming the field. */
export function containerSpecFromWire(wire: cri.ContainerConfig | null): ContainerSpec {
  const config = required(wire, 'config');
  const metadata = required(config.metadata, 'config.metadata');
  const linux = config.linux ?? ABSENT_LINUX;
  return defined<ContainerSpec>({
    metadata: { name: nonEmpty(metadata.name, 'config.metadata.name'), attempt: metadata.attempt },
    image: imageFromWire(config.image, 'config.image'),
    command: config.command.map((word, at) => text(word, `config.command[${at}]`)),
    args: config.args.map((word, at) => text(word, `config.args[${at}]`)),
    workingDir: text(config.workingDir, 'config.working_dir'),
    envs: config.envs.map((env, at) => envFromWire(env, `config.envs[${at}]`)),
    mounts: config.mounts.map((mount, at) => mountFromWire(mount, `config.mounts[${at}]`)),
    devices: config.devices.map((device, at) => deviceFromWire(device, `config.devices[${at}]`)),
    cdiDevices: config.CDIDevices.map((device, at) => nonEmpty(device.name, `config.CDI_devices[${at}].name`)),
    labels: config.labels,
    annotations: config.annotations,
    logPath: relativePath(config.logPath, 'config.log_path'),
    stdin: config.stdin,
    stdinOnce: config.stdinOnce,
    tty: config.tty,
    resources: resourcesFromWire(linux.resources, 'config.linux.resources') ?? { hugepageLimits: [], unified: {} },
    security: securityFromWire(linux.securityContext ?? ABSENT_SECURITY, 'config.linux.security_context'),
    stopSignal: stopSignalName(config.stopSignal, 'config.stop_signal'),
  });
}

/** The filter of the list calls; an absent one matches everything. */
export function containerFilterFromWire(filter: cri.ContainerFilter | null): ContainerFilter {
  if (filter === null) return {};
  return defined<ContainerFilter>({
    id: filter.id === '' ? undefined : filter.id,
    sandboxId: filter.podSandboxId === '' ? undefined : filter.podSandboxId,
    state: filter.state === null ? undefined : containerStates.fromWire(filter.state.state, 'filter.state.state'),
    labels: Object.keys(filter.labelSelector).length === 0 ? undefined : filter.labelSelector,
  });
}

/** An image by name or id; also of PullImage, ImageStatus and RemoveImage. */
export function imageFromWire(wire: cri.ImageSpec | null, field: string): ImageSpec {
  const image = required(wire, field);
  return {
    image: nonEmpty(image.image, `${field}.image`),
    userSpecifiedImage: image.userSpecifiedImage,
    runtimeHandler: image.runtimeHandler,
    annotations: image.annotations,
  };
}

function envFromWire(wire: cri.KeyValue, field: string): { key: string; value: Uint8Array } {
  if (nonEmpty(wire.key, `${field}.key`).includes('=')) throw invalid(`${field}.key`, `is ${wire.key}; a name cannot contain =`);
  if (wire.value.includes(0)) throw invalid(`${field}.value`, `of ${wire.key} contains a NUL byte`);
  return { key: wire.key, value: Uint8Array.from(wire.value) }; // a copy: the decoded value is a view of the whole request
}

function mountFromWire(wire: cri.Mount, field: string): MountSpec {
  const propagation = propagations.fromWire(wire.propagation, `${field}.propagation`);
  if (wire.image !== null && wire.hostPath !== '') throw invalid(field, 'has both host_path and image; exactly one is possible');
  if (wire.recursiveReadOnly && !(wire.readonly && propagation === 'private')) {
    throw invalid(`${field}.recursive_read_only`, 'needs readonly and PROPAGATION_PRIVATE');
  }
  for (const option of wire.mountOptions) {
    if (!MOUNT_OPTIONS.has(option)) throw invalid(`${field}.mount_options`, `has ${option}; noexec, nodev and nosuid are possible`);
  }
  return defined<MountSpec>({
    containerPath: absolutePath(wire.containerPath, `${field}.container_path`),
    hostPath: wire.image === null ? absolutePath(wire.hostPath, `${field}.host_path`) : '',
    readonly: wire.readonly,
    recursiveReadOnly: wire.recursiveReadOnly,
    selinuxRelabel: wire.selinuxRelabel,
    propagation,
    uidMappings: idMappings(wire.uidMappings, `${field}.uidMappings`),
    gidMappings: idMappings(wire.gidMappings, `${field}.gidMappings`),
    image: wire.image === null ? undefined : imageFromWire(wire.image, `${field}.image`),
    imageSubPath: relativePath(wire.imageSubPath, `${field}.image_sub_path`),
    options: wire.mountOptions,
  });
}

function deviceFromWire(wire: cri.Device, field: string): DeviceSpec {
  if (!/^[rwm]*$/.test(wire.permissions)) throw invalid(`${field}.permissions`, `is ${wire.permissions}; some of r, w, m are possible`);
  const hostPath = absolutePath(wire.hostPath, `${field}.host_path`);
  const containerPath = wire.containerPath === '' ? hostPath : absolutePath(wire.containerPath, `${field}.container_path`);
  return { containerPath, hostPath, permissions: wire.permissions };
}

function securityFromWire(wire: cri.LinuxContainerSecurityContext, field: string): ContainerSecurity {
  if (wire.runAsGroup !== null && wire.runAsUser === null && wire.runAsUsername === '') {
    throw invalid(`${field}.run_as_group`, 'is set without run_as_user or run_as_username');
  }
  if (wire.runAsUser !== null && wire.runAsUsername !== '') throw invalid(`${field}.run_as_username`, 'is set together with run_as_user');
  const paths = (values: string[], name: string): string[] => values.map((path, at) => absolutePath(path, `${field}.${name}[${at}]`));
  return defined<ContainerSecurity>({
    addCapabilities: wire.capabilities?.addCapabilities ?? [],
    dropCapabilities: wire.capabilities?.dropCapabilities ?? [],
    addAmbientCapabilities: wire.capabilities?.addAmbientCapabilities ?? [],
    privileged: wire.privileged,
    namespaces: namespacesFromWire(wire.namespaceOptions, `${field}.namespace_options`),
    selinux: selinuxFromWire(wire.selinuxOptions, `${field}.selinux_options`),
    runAsUser: optionalUserId(wire.runAsUser, `${field}.run_as_user`),
    runAsGroup: optionalUserId(wire.runAsGroup, `${field}.run_as_group`),
    runAsUsername: text(wire.runAsUsername, `${field}.run_as_username`),
    readonlyRootfs: wire.readonlyRootfs,
    supplementalGroups: wire.supplementalGroups.map((group, at) => userId(group, `${field}.supplemental_groups[${at}]`)),
    supplementalGroupsPolicy: groupPolicies.fromWire(wire.supplementalGroupsPolicy, `${field}.supplemental_groups_policy`),
    noNewPrivs: wire.noNewPrivs,
    maskedPaths: paths(wire.maskedPaths, 'masked_paths'),
    readonlyPaths: paths(wire.readonlyPaths, 'readonly_paths'),
    seccomp: seccompFromWire(wire.seccomp, `${field}.seccomp`),
    apparmor: apparmorFromWire(wire.apparmor, `${field}.apparmor`),
  });
}
