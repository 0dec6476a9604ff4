/** Real cgroups for a test: a parent of its own, children that wait to be put inside, and an end without leftovers. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import type { Test } from 'tap';
import { type Cgroups, openCgroups } from '../../../src/cgroup/index.ts';

/** Mount points of every hierarchy of this host. */
export const mounts = (cgroups: Cgroups): string[] => [
  ...new Set([...Object.values(cgroups.layout.legacy), ...(cgroups.layout.unified === undefined ? [] : [cgroups.layout.unified])]),
];

/** Why real cgroups cannot be made here, or '' when they can. */
export function missing(): string {
  if (process.getuid?.() !== 0) return 'root';
  return existsSync('/sys/fs/cgroup') && readdirSync('/sys/fs/cgroup').length > 0 ? '' : 'mounted cgroups';
}

export interface Host {
  cgroups: Cgroups;
  /** /berth-test-XXXX; exists only through its leaves. */
  parent: string;
  /** A leaf that was created and is removed at the end. */
  leaf(): string;
  /** Starts a shell in the leaf; the script begins only once it is inside. */
  run(path: string, script: string): Promise<ChildProcess>;
}

/** Opens the host's cgroups for one test. */
export function host(t: Test, cgroups = openCgroups({ driver: 'cgroupfs' })): Host {
  const parent = `/berth-test-${randomBytes(4).toString('hex')}`;
  return {
    cgroups,
    parent,
    leaf() {
      const path = cgroups.leafPath(parent, randomBytes(32).toString('hex'));
      cgroups.create(path);
      t.teardown(() => cgroups.remove(path));
      return path;
    },
    async run(path, script) {
      // stdin is the gate: nothing is forked before the process is in the cgroup
      const child = spawn('/bin/sh', ['-c', `read go; ${script}`], { stdio: ['pipe', 'pipe', 'ignore'] });
      t.teardown(() => child.kill('SIGKILL'));
      await once(child, 'spawn');
      cgroups.add(path, child.pid!);
      child.stdin!.end('go\n');
      return child;
    },
  };
}

/** Waits until `done` holds, for at most five seconds. */
export async function until(done: () => boolean, what: string): Promise<void> {
  for (let round = 0; round < 500; round += 1) {
    if (done()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`never came true: ${what}`);
}
