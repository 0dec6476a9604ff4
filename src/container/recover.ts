/**
 * Recovery of containers: intents are undone, running ones are adopted (an
 * exit that happened meanwhile is reported with its real code), those of an
 * earlier boot are told, and what no record knows is removed.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bootId, mountsUnder, nowNs, unmount } from '../sys/index.ts';
import type { ContainerHost } from './host.ts';
import { BUNDLES, containerPaths, LAYERS } from './paths.ts';
import { discardContainer } from './release.ts';
import { type ContainerRecord, containerState } from './types.ts';

/** Exit code for an end nobody saw. */
const UNKNOWN_CODE = 255;

/** Matches every record with the machine. */
export async function recoverContainers(host: ContainerHost): Promise<void> {
  const boot = bootId();
  for (const record of [...host.records.values()]) {
    if (record.readyAtNs === undefined) {
      await discardContainer(host, record);
      host.records.delete(record.id);
      host.log.info({ container: record.id, name: record.spec.metadata.name }, 'an unfinished container was undone');
      continue;
    }
    host.images.hold(record.imageId, record.id);
    if (record.exit !== undefined) continue;
    if (record.bootId !== boot) endOfBoot(host, record);
    else await adopt(host, record);
  }
  await removeStrays(host);
}

function endOfBoot(host: ContainerHost, record: Readonly<ContainerRecord>): void {
  host.records.update(record.id, {
    exit: { exitCode: UNKNOWN_CODE, finishedAtNs: nowNs(), reason: 'Unknown', message: 'the node was restarted while the container ran' },
  });
}

async function adopt(host: ContainerHost, record: Readonly<ContainerRecord>): Promise<void> {
  if (record.init === undefined || record.monitor === undefined) return;
  const { bundle } = containerPaths(host, record.id);
  if (record.startRequestedAtNs !== undefined && record.startedAtNs === undefined) {
    // berth ended between the start and its being recorded: the runtime knows whether it happened
    const started = await host.runtime.wasStarted(record.id, record.handler);
    if (started) host.records.update(record.id, { startedAtNs: record.startRequestedAtNs });
  }
  host.runtime.adopt({ id: record.id, handler: record.handler, bundleDir: bundle, init: record.init, monitor: record.monitor });
  host.log.info({ container: record.id, name: record.spec.metadata.name, state: containerState(record) }, 'container adopted');
}

async function removeStrays(host: ContainerHost): Promise<void> {
  for (const { id, handler } of await host.runtime.known()) {
    if (host.records.get(id) !== undefined) continue;
    await host.runtime.delete(id, handler, containerPaths(host, id).bundle);
    host.log.warn({ container: id }, 'a container of the OCI runtime without a record was removed');
  }
  for (const id of listDirectory(join(host.state, BUNDLES))) {
    if (host.records.get(id) !== undefined) continue;
    const { bundle } = containerPaths(host, id);
    for (const target of mountsUnder(bundle)) unmount(target, { detach: true });
    rmSync(bundle, { recursive: true, force: true });
  }
  for (const id of listDirectory(join(host.root, LAYERS))) {
    if (host.records.get(id) === undefined) host.trash.discard(containerPaths(host, id).layer);
  }
}

function listDirectory(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // not made yet
  }
}
