/**
 * Host paths of a container's volumes, made ready for the OCI runtime: links
 * followed, a missing directory made (as both reference runtimes do, and
 * kubelet relies on). Bounded in time: a path on a dead file system fails its
 * own container with its name.
 */
import { mkdir, realpath } from 'node:fs/promises';
import { abortable, withDeadline } from '../async/index.ts';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';
import type { MountSpec } from './types.ts';

/** A local path answers in microseconds; a loaded network file system in a few seconds. */
const PATH_DEADLINE_MS = 30_000;

/** The volumes with resolved host paths, in their order. Throws MOUNT_SOURCE. */
export async function resolveVolumes(mounts: readonly MountSpec[]): Promise<MountSpec[]> {
  return Promise.all(mounts.map(async (mount) => ({ ...mount, hostPath: await resolvePath(mount) })));
}

async function resolvePath(mount: MountSpec): Promise<string> {
  if (mount.image !== undefined) {
    const message = `the image volume at ${mount.containerPath} cannot be mounted: this version of berth has no image volumes; use another kind of volume`;
    throw new RuntimeError('unimplemented', 'UNIMPLEMENTED', message);
  }
  const { hostPath } = mount;
  const late = (): Error =>
    sourceError(mount, `it did not answer within ${PATH_DEADLINE_MS / 1000} s; is its file system dead? (see mount and dmesg)`);
  using deadline = withDeadline(PATH_DEADLINE_MS, late);
  try {
    return await abortable(realpath(hostPath), deadline.signal);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw asSourceError(mount, error);
  }
  try {
    await abortable(mkdir(hostPath, { recursive: true, mode: 0o755 }), deadline.signal);
    return await abortable(realpath(hostPath), deadline.signal);
  } catch (error) {
    throw asSourceError(mount, error);
  }
}

function asSourceError(mount: MountSpec, error: unknown): RuntimeError {
  return error instanceof RuntimeError ? error : sourceError(mount, `${messageOf(error)}; correct the path`);
}

function sourceError(mount: MountSpec, why: string): RuntimeError {
  return new RuntimeError(
    'precondition',
    'MOUNT_SOURCE',
    `the host path ${mount.hostPath} for ${mount.containerPath} cannot be used: ${why}`,
  );
}
