/** May berth do what it has to? Nested and sandboxed nodes lack capabilities even as root. */
import { boundingCapabilities } from '../../sys/index.ts';
import { type Check, type CheckGroup, fail, ok, warn } from './check.ts';

/** Without these no pod can be made, by what for. */
const NEEDED: Readonly<Record<string, string>> = {
  CAP_SYS_ADMIN: 'mounts and namespaces',
  CAP_NET_ADMIN: 'the pod network',
  CAP_CHOWN: 'files of image layers',
  CAP_DAC_OVERRIDE: 'files of image layers',
  CAP_FOWNER: 'files of image layers',
  CAP_MKNOD: 'devices of containers',
  CAP_SETUID: 'users of containers',
  CAP_SETGID: 'groups of containers',
  CAP_KILL: 'stopping containers',
  CAP_SYS_CHROOT: 'root file systems',
};

export const privilegeChecks: CheckGroup = {
  name: 'privileges',
  run: () => [rootCheck(process.geteuid?.() ?? -1), ...capabilityChecks(boundingCapabilities())],
};

function rootCheck(uid: number): Check {
  if (uid === 0) return ok('privileges.root', 'running as root');
  return fail('privileges.root', `running as user ${uid}`, 'run berth as root; `sudo berth doctor` checks as root');
}

/** Judges a capability set. */
export function capabilityChecks(has: ReadonlySet<string>): Check[] {
  const missing = Object.entries(NEEDED).filter(([name]) => !has.has(name));
  const needed =
    missing.length === 0
      ? ok('privileges.capabilities', 'every capability that pods need is there')
      : fail(
          'privileges.capabilities',
          `missing: ${missing.map(([name, purpose]) => `${name} (${purpose})`).join(', ')}`,
          'give them to the unit or container that berth runs in',
        );
  const resource = has.has('CAP_SYS_RESOURCE')
    ? ok('privileges.sys-resource', 'oom_score_adj can be lowered')
    : warn(
        'privileges.sys-resource',
        'CAP_SYS_RESOURCE is missing: oom_score_adj cannot be lowered, so pods keep the daemon’s own where kubelet asks for less; containers cannot be given this capability',
        'give berth CAP_SYS_RESOURCE where out-of-memory protection of critical pods matters',
      );
  return [needed, resource];
}
