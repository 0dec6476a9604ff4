/**
 * Ending a sandbox: the same steps for StopPodSandbox, for the undoing of a
 * failed start, and for recovery. Each is idempotent and needs only the record.
 */
import { removeSandboxFiles, sandboxPaths } from './files.ts';
import type { SandboxHost } from './host.ts';
import { unpin } from './make.ts';
import { findPauses, killPause } from './pause.ts';
import type { SandboxRecord } from './types.ts';

/** Takes down processes, network and namespaces; keeps the record, the directory and the cgroup. Throws when a retry can help. */
export async function haltSandbox(host: SandboxHost, record: Readonly<SandboxRecord>, signal: AbortSignal): Promise<void> {
  if (record.pins.net !== undefined) {
    const sameBoot = record.stopReason !== REBOOTED;
    await host.network.detach(record.id, sameBoot ? record.pins.net : undefined, signal);
  }
  killPauseOf(host, record);
  unpin(record.pins);
}

/** Why a sandbox from before a reboot is not ready. */
export const REBOOTED = 'the node was restarted';

/** Removes what haltSandbox() leaves: cgroup and directory. */
export async function discardSandbox(host: SandboxHost, record: Readonly<SandboxRecord>): Promise<void> {
  if (record.cgroupPath !== undefined) await host.cgroups.remove(record.cgroupPath);
  await removeSandboxFiles(sandboxPaths(host.state, record.id));
}

function killPauseOf(host: SandboxHost, record: Readonly<SandboxRecord>): void {
  if (record.pause !== undefined) {
    killPause(record.pause);
    return;
  }
  // the daemon may have died between the pause's birth and its being recorded
  for (const found of findPauses(host.state)) if (found.sandboxId === record.id) killPause(found.ref);
}
