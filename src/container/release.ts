/**
 * Taking a container down, in idempotent steps that need only the record: the
 * same for a failed create, for its exit, for its removal and for recovery.
 */
import { rm } from 'node:fs/promises';
import { RuntimeError } from '../errors/index.ts';
import { mountsUnder, unmount } from '../sys/index.ts';
import type { ContainerHost } from './host.ts';
import { containerPaths } from './paths.ts';
import type { ContainerRecord } from './types.ts';

/** Frees what only a living container needs: OCI state, monitor, cgroup, mounts. Keeps logs, the writable layer and the bundle. */
export async function settleContainer(host: ContainerHost, record: Readonly<ContainerRecord>): Promise<void> {
  const { bundle } = containerPaths(host, record.id);
  await host.runtime.delete(record.id, record.handler, bundle);
  for (const target of mountsUnder(bundle)) unmount(target, { detach: true });
  host.cgroups.forget(record.cgroupPath);
  await host.cgroups.remove(record.cgroupPath);
}

/** Frees everything. The writable layer leaves its place at once and is deleted in the background. */
export async function discardContainer(host: ContainerHost, record: Readonly<ContainerRecord>): Promise<void> {
  await settleContainer(host, record);
  const { bundle, layer } = containerPaths(host, record.id);
  if (mountsUnder(bundle).length > 0) {
    throw new RuntimeError(
      'internal',
      'MOUNT_FAILED',
      `a mount below ${bundle} could not be removed; find who holds it with findmnt and fuser`,
    );
  }
  await rm(bundle, { recursive: true, force: true });
  host.trash.discard(layer);
  host.images.release(record.imageId, record.id);
}
