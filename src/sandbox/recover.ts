/**
 * Recovery: the store is matched with the machine. A clean start and a start
 * after kill -9 are this same code. Intents (records never made ready) are
 * undone; what runs is adopted; what died meanwhile is told; what is ours and
 * unknown is removed. What fails for one sandbox is logged and left to its
 * removal: it must not keep berth from serving the others.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../errors/index.ts';
import { bootId, isAlive, nowNs } from '../sys/index.ts';
import { removeSandboxFiles, sandboxPaths } from './files.ts';
import type { SandboxHost } from './host.ts';
import { cgroupOf, findPauses, killPause } from './pause.ts';
import { discardSandbox, haltSandbox } from './release.ts';
import { type SandboxRecord, sandboxState } from './types.ts';

/** Bound on the clean-up of one unfinished sandbox at start. */
const UNDO_DEADLINE_MS = 60_000;

/** Matches every record with the machine; `adopt` is called for each that is running. */
export async function recoverSandboxes(host: SandboxHost, adopt: (record: Readonly<SandboxRecord>) => void): Promise<void> {
  const boot = bootId();
  for (const record of [...host.records.values()]) {
    await attempt(host, record.id, 'a sandbox could not be matched with the machine; its removal tries again', async () => {
      if (record.readyAtNs === undefined) await undoIntent(host, record);
      else if (record.stoppedAtNs !== undefined) return;
      else if (record.bootId !== boot) markStopped(host, record, 'the node was restarted');
      else if (record.pause !== undefined && !isAlive(record.pause))
        markStopped(host, record, 'its pause process ended while berth was down');
      else adopt(record);
    });
  }
  await removeStrays(host);
}

async function attempt(host: SandboxHost, id: string, otherwise: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    host.log.error({ sandbox: id, err: error }, otherwise);
  }
}

async function undoIntent(host: SandboxHost, record: Readonly<SandboxRecord>): Promise<void> {
  try {
    await haltSandbox(host, record, AbortSignal.timeout(UNDO_DEADLINE_MS));
    await discardSandbox(host, record);
    host.records.delete(record.id);
    host.log.info({ sandbox: record.id, pod: record.spec.metadata.name }, 'an unfinished sandbox was undone');
  } catch (error) {
    // kept as a stopped sandbox: kubelet will ask for its removal, which tries again
    host.records.observe(record.id, {
      readyAtNs: nowNs(),
      stoppedAtNs: nowNs(),
      stopReason: `its start was cut short and undoing it failed: ${messageOf(error)}`,
    });
    host.log.warn({ sandbox: record.id, err: error }, 'an unfinished sandbox could not be undone; its removal will try again');
  }
}

function markStopped(host: SandboxHost, record: Readonly<SandboxRecord>, reason: string): void {
  host.records.observe(record.id, { stoppedAtNs: nowNs(), stopReason: reason });
  host.log.warn({ sandbox: record.id, pod: record.spec.metadata.name, reason }, 'sandbox is no longer ready');
}

async function removeStrays(host: SandboxHost): Promise<void> {
  const failed = 'what is left of an unknown sandbox could not be removed; the next start tries again';
  for (const pause of findPauses(host.state)) {
    const { sandboxId, ref } = pause;
    const record = host.records.get(sandboxId);
    if (record !== undefined && sandboxState(record) === 'ready' && record.pause?.pid === ref.pid) continue;
    const cgroup = cgroupOf(pause);
    await attempt(host, sandboxId, failed, async () => {
      killPause(ref);
      if (record === undefined && cgroup !== undefined) await host.cgroups.remove(cgroup);
    });
    host.log.warn({ sandbox: sandboxId, pid: ref.pid }, 'a pause process without a sandbox was killed');
  }
  for (const id of listDirectory(join(host.state, 'sandboxes'))) {
    if (host.records.get(id) !== undefined) continue;
    await attempt(host, id, failed, () => removeSandboxFiles(sandboxPaths(host.state, id)));
    host.log.warn({ sandbox: id }, 'the directory of an unknown sandbox was removed');
  }
}

function listDirectory(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // not made yet
  }
}
