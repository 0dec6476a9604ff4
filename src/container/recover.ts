/**
 * Recovery of containers: intents are undone, running ones are adopted (an
 * exit that happened meanwhile is reported with its real code), those of an
 * earlier boot are told, and what no record knows is removed. What fails for
 * one container is logged and left to its removal: it must not keep berth
 * from serving the others.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../errors/index.ts';
import { bootId, mountsUnder, nowNs, unmount } from '../sys/index.ts';
import type { ContainerHost } from './host.ts';
import { BUNDLES, containerPaths, LAYERS } from './paths.ts';
import { discardContainer } from './release.ts';
import { type ContainerRecord, containerState } from './types.ts';

/** Exit code for an end nobody saw. */
const UNKNOWN_CODE = 255;

/** Matches every record with the machine. Never rejects. */
export async function recoverContainers(host: ContainerHost, hasSandbox: (id: string) => boolean): Promise<void> {
  const boot = bootId();
  for (const record of [...host.records.values()]) {
    const unfinished = record.readyAtNs === undefined || !hasSandbox(record.sandboxId);
    const work = unfinished ? () => undo(host, record) : () => match(host, record, boot);
    await attempt(host, record.id, 'a container could not be matched with the machine; its removal tries again', work);
  }
  await removeStrays(host);
}

async function attempt(host: ContainerHost, id: string, otherwise: string, work: () => void | Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    host.log.error({ container: id, err: error }, otherwise);
  }
}

async function undo(host: ContainerHost, record: Readonly<ContainerRecord>): Promise<void> {
  await discardContainer(host, record);
  host.records.delete(record.id);
  host.log.info({ container: record.id, name: record.spec.metadata.name }, 'an unfinished container was undone');
}

async function match(host: ContainerHost, record: Readonly<ContainerRecord>, boot: string): Promise<void> {
  // without its image a container can still run, end and be removed
  await attempt(host, record.id, 'the image of a container is gone', () => void host.images.hold(record.imageId, record.id));
  if (record.exit !== undefined) return;
  if (record.bootId !== boot) endOfBoot(host, record);
  else await adopt(host, record);
}

function endOfBoot(host: ContainerHost, record: Readonly<ContainerRecord>): void {
  const ran = containerState(record) === 'running' ? 'while the container ran' : 'before the container was started';
  host.records.observe(record.id, {
    exit: { exitCode: UNKNOWN_CODE, finishedAtNs: nowNs(), reason: 'Unknown', message: `the node was restarted ${ran}` },
  });
}

async function adopt(host: ContainerHost, record: Readonly<ContainerRecord>): Promise<void> {
  if (record.init === undefined || record.monitor === undefined) return;
  const { bundle } = containerPaths(host, record.id);
  if (record.startRequestedAtNs !== undefined && record.startedAtNs === undefined && (await wasStarted(host, record))) {
    host.records.observe(record.id, { startedAtNs: record.startRequestedAtNs });
  }
  host.runtime.adopt({ id: record.id, handler: record.handler, bundleDir: bundle, init: record.init, monitor: record.monitor });
  const { name } = record.spec.metadata;
  host.log.info({ container: record.id, name, state: containerState(host.records.get(record.id) ?? record) }, 'container adopted');
}

/** berth ended between the start and its being recorded: the runtime knows whether it happened. */
async function wasStarted(host: ContainerHost, record: Readonly<ContainerRecord>): Promise<boolean> {
  try {
    return await host.runtime.wasStarted(record.id, record.handler);
  } catch (error) {
    host.log.error(
      { container: record.id, reason: messageOf(error) },
      'whether a container was started cannot be learned; taken for created',
    );
    return false;
  }
}

async function removeStrays(host: ContainerHost): Promise<void> {
  const failed = 'what is left of an unknown container could not be removed; the next start tries again';
  for (const { id, handler } of await host.runtime.known()) {
    if (host.records.get(id) !== undefined) continue;
    await attempt(host, id, failed, async () => {
      await host.runtime.delete(id, handler, containerPaths(host, id).bundle);
      host.log.warn({ container: id }, 'a container of the OCI runtime without a record was removed');
    });
  }
  for (const id of strangersIn(host, join(host.state, BUNDLES))) {
    await attempt(host, id, failed, () => {
      const { bundle } = containerPaths(host, id);
      for (const target of mountsUnder(bundle)) unmount(target, { detach: true });
      rmSync(bundle, { recursive: true, force: true });
    });
  }
  for (const id of strangersIn(host, join(host.root, LAYERS))) {
    await attempt(host, id, failed, () => host.trash.discard(containerPaths(host, id).layer));
  }
}

/** Entries of a directory that no record has. */
function strangersIn(host: ContainerHost, path: string): string[] {
  try {
    return readdirSync(path).filter((id) => host.records.get(id) === undefined);
  } catch {
    return []; // not made yet
  }
}
