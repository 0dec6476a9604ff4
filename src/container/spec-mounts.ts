/**
 * The mounts of a container, in an order in which no parent hides its child:
 * what every Linux program expects, the pod's shared files, then the volumes,
 * which replace a default of the same place. Pure; host paths are as the
 * caller resolved them.
 */
import { posix } from 'node:path';
import { RuntimeError } from '../errors/index.ts';
import type { HandlerInfo } from '../runtime/index.ts';
import type { IdMapping } from '../sandbox/index.ts';
import type { MountSpec } from './types.ts';

/** runtime-spec config.md mounts. */
export interface OciMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
  uidMappings?: OciIdMapping[];
  gidMappings?: OciIdMapping[];
}

/** runtime-spec config-linux.md user namespace mappings. */
interface OciIdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

/** Host paths of what a pod's containers share; undefined is not mounted. */
export interface SharedFiles {
  resolvConf?: string;
  hostname?: string;
  /** The host's /dev/shm for a pod in the host's ipc namespace. */
  shm: string;
}

/** What decides the mounts. */
export interface MountInput {
  volumes: readonly MountSpec[];
  files: SharedFiles;
  privileged: boolean;
  readonlyRootfs: boolean;
  handler: Pick<HandlerInfo, 'name' | 'features'>;
}

/** runtime-spec mounts. Throws INVALID_ARGUMENT for a volume that cannot be had as asked. */
export function mountsOf(input: MountInput): OciMount[] {
  const volumes = input.volumes.map((volume) => volumeMount(volume, input.handler));
  const taken = new Set(volumes.map((mount) => mount.destination));
  const defaults = [...kernelMounts(input.privileged), ...sharedMounts(input)].filter((mount) => !taken.has(mount.destination));
  // Array sort is stable: volumes of one depth stay in the order they were given.
  return [...defaults, ...volumes].sort((a, b) => depth(a.destination) - depth(b.destination));
}

/** runtime-spec rootfsPropagation: mounts that are to be seen across need it along the way; undefined is private. */
export function rootfsPropagationOf(volumes: readonly MountSpec[]): 'rshared' | 'rslave' | undefined {
  if (volumes.some((volume) => volume.propagation === 'bidirectional')) return 'rshared';
  return volumes.some((volume) => volume.propagation === 'host-to-container') ? 'rslave' : undefined;
}

function kernelMounts(privileged: boolean): OciMount[] {
  const access = privileged ? 'rw' : 'ro';
  const safe = ['nosuid', 'noexec', 'nodev'];
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: safe },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'], // gid 5 is tty everywhere
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: safe },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...safe, access] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...safe, 'relatime', access] },
  ];
}

function sharedMounts({ files, readonlyRootfs }: MountInput): OciMount[] {
  const access = readonlyRootfs ? 'ro' : 'rw';
  const file = (destination: string, source: string | undefined): OciMount[] =>
    source === undefined ? [] : [{ destination, type: 'bind', source, options: ['rbind', 'rprivate', access] }];
  return [
    { destination: '/dev/shm', type: 'bind', source: files.shm, options: ['rbind', 'rprivate', 'rw', 'nosuid', 'noexec', 'nodev'] },
    ...file('/etc/resolv.conf', files.resolvConf),
    ...file('/etc/hostname', files.hostname),
  ];
}

const PROPAGATION = { private: 'rprivate', 'host-to-container': 'rslave', bidirectional: 'rshared' } as const;
/** api.proto Mount.mount_options */
const MOUNT_OPTIONS: ReadonlySet<string> = new Set(['noexec', 'nodev', 'nosuid']);

function volumeMount(volume: MountSpec, handler: MountInput['handler']): OciMount {
  const destination = posix.resolve('/', volume.containerPath);
  if (volume.containerPath === '' || destination === '/') {
    throw invalid(`the volume ${volume.hostPath} is to be mounted at ${JSON.stringify(volume.containerPath)}`, 'give it a path below /');
  }
  const unknown = volume.options.find((option) => !MOUNT_OPTIONS.has(option));
  if (unknown !== undefined)
    throw invalid(`the volume at ${destination} has the unknown mount option ${unknown}`, 'use noexec, nodev or nosuid');
  const options = ['rbind', PROPAGATION[volume.propagation], readAccess(volume, destination, handler), ...volume.options];
  return { destination, type: 'bind', source: volume.hostPath, options, ...idMappings(volume, destination, handler) };
}

function readAccess(volume: MountSpec, destination: string, handler: MountInput['handler']): string {
  if (!volume.recursiveReadOnly) return volume.readonly ? 'ro' : 'rw';
  if (!volume.readonly || volume.propagation !== 'private') {
    throw invalid(`the volume at ${destination} is to be read-only recursively, but not read-only with private propagation`, 'set both');
  }
  if (!handler.features.recursiveReadOnlyMounts) {
    // cri-api errors.go: kubelet knows this failure by the prefix of an Unknown error.
    const message = `RROUnsupported: the OCI runtime ${handler.name} cannot mount ${destination} read-only recursively; use another runtime handler or recursiveReadOnly: IfPossible`;
    throw new RuntimeError('unknown', 'UNSUPPORTED_SECURITY', message);
  }
  return 'rro';
}

function idMappings(volume: MountSpec, destination: string, handler: MountInput['handler']): Pick<OciMount, 'uidMappings' | 'gidMappings'> {
  if (volume.uidMappings.length === 0 && volume.gidMappings.length === 0) return {};
  if (!handler.features.idmapMounts) {
    const message = `the volume at ${destination} needs mapped ids, which the OCI runtime ${handler.name} cannot mount; use another runtime handler`;
    throw new RuntimeError('invalid', 'UNSUPPORTED_SECURITY', message);
  }
  return { uidMappings: volume.uidMappings.map(ociMapping), gidMappings: volume.gidMappings.map(ociMapping) };
}

const ociMapping = ({ containerId, hostId, length }: IdMapping): OciIdMapping => ({
  containerID: containerId,
  hostID: hostId,
  size: length,
});

const depth = (path: string): number => path.split('/').length;

const invalid = (what: string, advice: string): RuntimeError => new RuntimeError('invalid', 'INVALID_ARGUMENT', `${what}; ${advice}`);
