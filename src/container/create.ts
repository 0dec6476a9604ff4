/**
 * Making a container. The record is stored before the first side effect and
 * names everything that will be made; undoing a failed step is the same
 * discardContainer() that removal and recovery use.
 */
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf, isRuntimeError, messageOf, RuntimeError } from '../errors/index.ts';
import { newContainerId } from '../ids/index.ts';
import { type ImageRecord, refuseArtifact } from '../image/index.ts';
import { type SandboxRecord, sandboxPaths, sandboxState } from '../sandbox/index.ts';
import { mountRootfs } from '../snapshot/index.ts';
import { bootId, nowNs, SIGNALS } from '../sys/index.ts';
import type { ContainerHost } from './host.ts';
import { buildSpec } from './oci-spec.ts';
import { containerPaths } from './paths.ts';
import { gatherDevices } from './spec-devices.ts';
import { confinementOf } from './spec-security.ts';
import { type ContainerRecord, type ContainerSpec, containerState } from './types.ts';
import { readAccounts, resolveUser } from './user.ts';
import { resolveVolumes } from './volumes.ts';

/** One CreateContainer. */
export interface CreateInput {
  sandbox: Readonly<SandboxRecord>;
  spec: ContainerSpec;
}

/** What a finished create adds to the record. */
type Made = Pick<ContainerRecord, 'init' | 'monitor' | 'user' | 'clamped' | 'startProblem'>;

/** Bound on one OCI create; it takes tens of milliseconds unless the node is in trouble. */
const CREATE_DEADLINE_MS = 100_000;

/** As conmon makes it. */
const LOG_MODE = 0o640;

/** Checks what can be checked without touching anything, and stores the intent. */
export function prepareRecord(host: ContainerHost, input: CreateInput): Readonly<ContainerRecord> {
  const { sandbox, spec } = input;
  if (sandboxState(sandbox) !== 'ready') throw notReady(sandbox, spec, 'created');
  refuseUnoffered(spec);
  const image = findImage(host, spec);
  refuseArtifact(image);
  const id = newContainerId();
  return host.records.put({
    id,
    sandboxId: sandbox.id,
    spec,
    imageId: image.id,
    imageRef: image.repoDigests[0] ?? image.id,
    logPath: spec.logPath === '' || sandbox.spec.logDirectory === '' ? '' : join(sandbox.spec.logDirectory, spec.logPath),
    stopSignal: signalNumber(spec.stopSignal ?? image.config.stopSignal),
    handler: sandbox.handler,
    cgroupPath: host.cgroups.leafPath(sandbox.spec.cgroupParent, id),
    user: { uid: 0, gid: 0, supplementalGroups: [] },
    createdAtNs: nowNs(),
    oomKills: 0,
    bootId: bootId(),
  });
}

/** What would be left out in silence is refused: a container without its device or its user map is not what was asked for. */
function refuseUnoffered(spec: ContainerSpec): void {
  const refuse = (what: string, instead: string): RuntimeError =>
    new RuntimeError(
      'unimplemented',
      'UNIMPLEMENTED',
      `the container ${spec.metadata.name} asks for ${what}, which this version of berth does not offer; ${instead}`,
    );
  if (spec.cdiDevices.length > 0) throw refuse(`CDI devices (${spec.cdiDevices.join(', ')})`, 'use devices by host path');
  if (spec.security.namespaces.user?.mode === 'pod') throw refuse('a user namespace', 'leave hostUsers unset in the pod');
}

/** What is answered for a container of a pod that has ended. */
export function notReady(sandbox: Readonly<SandboxRecord>, spec: ContainerSpec, what: 'created' | 'started'): RuntimeError {
  const { namespace, name } = sandbox.spec.metadata;
  const message = `the pod sandbox of ${namespace}/${name} is not ready, so the container ${spec.metadata.name} cannot be ${what}; create a new sandbox`;
  return new RuntimeError('precondition', 'SANDBOX_NOT_READY', message);
}

/** Takes every step of CreateContainer after the record was stored. */
export async function createContainer(host: ContainerHost, input: CreateInput, record: Readonly<ContainerRecord>): Promise<Made> {
  const { spec, sandbox } = input;
  const begun = performance.now();
  const paths = containerPaths(host, record.id);
  const image = findImage(host, spec, record.imageId); // by id: the tag may have moved since
  const lowers = host.images.hold(record.imageId, record.id);
  await mkdir(paths.bundle, { recursive: true, mode: 0o711 });
  await mkdir(paths.layer, { recursive: true, mode: 0o711 });
  mountRootfs({ lowers, dir: paths.layer, target: paths.rootfs });
  host.phase('rootfs', (performance.now() - begun) / 1000);

  const user = resolveUser({ imageUser: image.config.user, security: spec.security }, readAccounts(paths.rootfs));
  const pidNamespace = pidNamespaceOf(host, input);
  const built = buildSpec({
    spec,
    image: image.config,
    sandbox,
    ...(pidNamespace === undefined ? {} : { pidNamespace }),
    files: sharedFiles(host, sandbox),
    volumes: await resolveVolumes(spec.mounts),
    devices: await gatherDevices(spec.devices, spec.security.privileged),
    confinement: confinementOf(spec.security, host.facts),
    user,
    rootfs: paths.rootfs,
    cgroupsPath: host.cgroups.ociPath(sandbox.spec.cgroupParent, record.id),
    handler: host.runtime.resolve(sandbox.handler),
    facts: host.facts,
    pidsLimit: host.pidsLimit,
  });
  await writeFile(join(paths.bundle, 'config.json'), JSON.stringify(built.config), { mode: 0o600 });
  await makeLog(record.logPath);
  const processes = await createProcesses(host, record, paths.bundle);
  host.phase('create', (performance.now() - begun) / 1000);
  return { ...processes, user, clamped: built.clamped };
}

/**
 * crun and runc look the program up when they create. That it cannot run is
 * for StartContainer to say: kubelet and users expect a container that failed
 * to start, not one that could not be made.
 */
async function createProcesses(
  host: ContainerHost,
  record: Readonly<ContainerRecord>,
  bundleDir: string,
): Promise<Pick<Made, 'init' | 'monitor' | 'startProblem'>> {
  const { id, handler, logPath, spec } = record;
  const { tty: terminal, stdin, stdinOnce } = spec;
  const request = { id, handler, bundleDir, logPath, terminal, stdin, stdinOnce, monitorCgroup: '' };
  try {
    return await host.runtime.create(request, AbortSignal.timeout(CREATE_DEADLINE_MS));
  } catch (error) {
    if (isRuntimeError(error, 'START_FAILED')) return { startProblem: error.message };
    throw error;
  }
}

function findImage(host: ContainerHost, spec: ContainerSpec, asked: string = spec.image.image): Readonly<ImageRecord> {
  const image = host.images.find(asked);
  if (image !== undefined) return image;
  const name = spec.image.userSpecifiedImage || spec.image.image;
  throw new RuntimeError(
    'not-found',
    'IMAGE_NOT_FOUND',
    `the image ${name} is not on this node, so the container cannot be created; pull it first`,
  );
}

function signalNumber(name: string | undefined): number {
  const sigterm = 15;
  if (name === undefined || name === '') return sigterm;
  if (/^\d+$/.test(name)) return Number(name);
  return SIGNALS[name.startsWith('SIG') ? name : `SIG${name}`] ?? sigterm;
}

/** The pod's pid namespace is the pause process's; the target's is that of its first process. */
function pidNamespaceOf(host: ContainerHost, { sandbox, spec }: CreateInput): string | undefined {
  const { pid: mode, targetId } = spec.security.namespaces;
  if (mode === 'pod') return sandbox.pause === undefined ? undefined : `/proc/${sandbox.pause.pid}/ns/pid`;
  if (mode !== 'target') return undefined;
  const target = host.records.find(targetId ?? '', (record) => record.sandboxId === sandbox.id);
  if (target?.init === undefined || containerState(target) !== 'running') {
    const message = `the target container ${JSON.stringify(targetId ?? '')} of the pid namespace is not a running container of this pod`;
    throw new RuntimeError('invalid', 'INVALID_ARGUMENT', message);
  }
  return `/proc/${target.init.pid}/ns/pid`;
}

function sharedFiles(host: ContainerHost, sandbox: Readonly<SandboxRecord>): { resolvConf: string; hostname?: string; shm: string } {
  const paths = sandboxPaths(host.state, sandbox.id);
  const hasHostname = sandbox.spec.hostname !== '';
  return {
    resolvConf: paths.resolvConf,
    ...(hasHostname ? { hostname: paths.hostname } : {}),
    shm: sandbox.spec.namespaces.ipc === 'node' ? '/dev/shm' : paths.shm,
  };
}

/** Makes the empty log with its directory, so that a place where none can be is told as that; the monitor opens it again. */
async function makeLog(logPath: string): Promise<void> {
  if (logPath === '') return;
  try {
    await mkdir(dirname(logPath), { recursive: true, mode: 0o755 });
    await appendFile(logPath, '', { mode: LOG_MODE });
  } catch (error) {
    const message = `the log ${logPath} cannot be written: ${errnoOf(error) ?? messageOf(error)}; check the path and its file system`;
    throw new RuntimeError('precondition', 'LOG_FAILED', message, { cause: error });
  }
}
