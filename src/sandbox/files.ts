/**
 * The files a sandbox shares with its containers: resolv.conf, hostname and
 * /dev/shm. All live under the sandbox's run-time directory and go with it.
 * Making and removing are idempotent: recovery runs the same code.
 */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RuntimeError } from '../errors/index.ts';
import type { DnsConfig } from '../network/index.ts';
import { mountsUnder, mountTmpfs, unmount } from '../sys/index.ts';
import type { SandboxSpec } from './types.ts';

/** Size of a pod's /dev/shm: what containerd and docker give. */
const SHM_BYTES = 64 * 1024 * 1024;
const SHM_MODE = 0o1777;

/** Absolute paths of one sandbox's run-time files. */
export interface SandboxPaths {
  dir: string;
  resolvConf: string;
  /** The pod's hostname file; undefined content with the host's uts namespace. */
  hostname: string;
  /** tmpfs; absent when the pod uses the host's ipc namespace. */
  shm: string;
  /** Directory of the namespace pins. */
  pins: string;
}

/** Where the files of sandbox `id` are below the run-time directory `state`. */
export function sandboxPaths(state: string, id: string): SandboxPaths {
  const dir = join(state, 'sandboxes', id);
  return {
    dir,
    resolvConf: join(dir, 'resolv.conf'),
    hostname: join(dir, 'hostname'),
    shm: join(dir, 'shm'),
    pins: join(dir, 'ns'),
  };
}

/** The text of a resolv.conf (resolv.conf(5)). */
export function resolvConfText(dns: DnsConfig): string {
  const lines = dns.servers.map((server) => `nameserver ${server}`);
  if (dns.searches.length > 0) lines.push(`search ${dns.searches.join(' ')}`);
  if (dns.options.length > 0) lines.push(`options ${dns.options.join(' ')}`);
  return lines.map((line) => `${line}\n`).join('');
}

/** Writes the files and mounts /dev/shm. */
export async function makeSandboxFiles(paths: SandboxPaths, spec: SandboxSpec): Promise<void> {
  await mkdir(paths.pins, { recursive: true, mode: 0o755 });
  await writeResolvConf(paths.resolvConf, spec.dns);
  if (spec.hostname !== '') await writeFile(paths.hostname, `${spec.hostname}\n`, { mode: 0o644 });
  if (spec.namespaces.ipc === 'node') return;
  await mkdir(paths.shm, { recursive: true });
  mountTmpfs(paths.shm, { sizeBytes: SHM_BYTES, mode: SHM_MODE });
}

async function writeResolvConf(path: string, dns: DnsConfig | undefined): Promise<void> {
  const text = dns === undefined ? '' : resolvConfText(dns);
  if (text !== '') {
    await writeFile(path, text, { mode: 0o644 });
    return;
  }
  if (!existsSync('/etc/resolv.conf')) {
    await writeFile(path, '', { mode: 0o644 });
    return;
  }
  await copyFile('/etc/resolv.conf', path);
}

/** Unmounts everything below the sandbox's directory and removes it. Idempotent. */
export async function removeSandboxFiles(paths: SandboxPaths): Promise<void> {
  for (const target of mountsUnder(paths.dir)) unmount(target, { detach: true });
  const left = mountsUnder(paths.dir);
  if (left.length > 0) {
    throw new RuntimeError('internal', 'MOUNT_FAILED', `${left.length} mounts below ${paths.dir} could not be removed; see findmnt`);
  }
  await rm(paths.dir, { recursive: true, force: true });
}
