/**
 * Ending a sandbox: the same steps for StopPodSandbox, for the undoing of a
 * failed start, and for recovery. Each is idempotent and needs only the record.
 */
import { bootId } from '../sys/index.ts';
import { removeSandboxFiles, sandboxPaths } from './files.ts';
import type { SandboxHost } from './host.ts';
import { unpin } from './make.ts';
import { findPauses, killPause } from './pause.ts';
import type { SandboxRecord } from './types.ts';

/** Takes down processes, network and namespaces; keeps the record, the directory and the cgroup. Throws when a retry can help. */
export async function haltSandbox(host: SandboxHost, record: Readonly<SandboxRecord>, signal: AbortSignal): Promise<void> {
  const sameBoot = record.bootId === bootId();
  if (record.pins.net !== undefined) await host.network.detach(record.id, sameBoot ? record.pins.net : undefined, signal);
  if (sameBoot) killPauseOf(host, record); // else its pid and start time may be those of any process of this boot
  unpin(record.pins);
}

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
