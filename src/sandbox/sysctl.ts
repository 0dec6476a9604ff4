/**
 * Sysctls of a pod. Written from inside the pod's namespaces: /proc/sys shows
 * the writer's own. Only namespaced names are let through, so a pod can never
 * change the host (sysctl(7), ipc_namespaces(7), network_namespaces(7)).
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, RuntimeError } from '../errors/index.ts';
import type { SandboxSpec } from './types.ts';

const IPC_SYSCTLS = new Set([
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
]);

const NAME = /^[a-z0-9][a-z0-9_-]*([./][a-zA-Z0-9_*@-]+)+$/;

const refuse = (name: string, why: string): RuntimeError =>
  new RuntimeError('invalid', 'SYSCTL_FAILED', `the sysctl ${JSON.stringify(name)} cannot be set for a pod: ${why}`);

/** Throws unless every sysctl lives in a namespace that the pod owns. */
export function checkSysctls(spec: SandboxSpec): void {
  for (const name of Object.keys(spec.sysctls)) {
    if (!NAME.test(name) || name.includes('..')) throw refuse(name, 'it is not a sysctl name; write it as net.core.somaxconn');
    const dotted = name.replaceAll('/', '.');
    if (dotted.startsWith('net.')) {
      if (spec.namespaces.network === 'node')
        throw refuse(name, 'the pod uses the host’s network; drop it or give the pod its own network');
    } else if (dotted.startsWith('fs.mqueue.') || IPC_SYSCTLS.has(dotted)) {
      if (spec.namespaces.ipc === 'node') throw refuse(name, 'the pod uses the host’s ipc namespace; drop it or give the pod its own');
    } else {
      throw refuse(name, 'the kernel does not keep it per namespace, so it would change the whole node');
    }
  }
}

/** The file of a sysctl. A name with slashes is taken as sysctl(8) does: dots in it are literal. */
export function sysctlPath(name: string): string {
  const parts = name.includes('/') ? name.split('/') : name.split('.');
  return join('/proc/sys', ...parts);
}

/** Writes the sysctls; to be called inside the pod's namespaces. Synchronous. */
export function applySysctls(sysctls: Record<string, string>): void {
  for (const [name, value] of Object.entries(sysctls)) {
    try {
      writeFileSync(sysctlPath(name), value);
    } catch (error) {
      throw new RuntimeError(
        'invalid',
        'SYSCTL_FAILED',
        `setting the sysctl ${name}=${JSON.stringify(value)} in the pod failed: ${messageOf(error)}; check its name and value`,
        { cause: error },
      );
    }
  }
}
