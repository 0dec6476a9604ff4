/**
 * Mandatory access control of the host's kernel: which of AppArmor and SELinux
 * is there. What a pod asks for and the host lacks is refused, never ignored:
 * a pod that runs without the confinement it named is worse than none.
 */
import { existsSync, readFileSync } from 'node:fs';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';

/** What the kernel enforces. */
export interface MandatoryAccessControl {
  apparmor: boolean;
  selinux: boolean;
}

const APPARMOR_ENABLED = '/sys/module/apparmor/parameters/enabled';
const APPARMOR_PROFILES = '/sys/kernel/security/apparmor/profiles';
const SELINUX_STATE = '/sys/fs/selinux/enforce';

/** Looks at the running kernel. Cheap; not cached, as SELinux can be mounted late. */
export function detectMandatoryAccessControl(): MandatoryAccessControl {
  return { apparmor: readOr(APPARMOR_ENABLED, 'N').trim() === 'Y', selinux: existsSync(SELINUX_STATE) };
}

/**
 * The AppArmor profile for a request; undefined for none. RuntimeDefault is no
 * profile where the kernel has no AppArmor, as kubelet sends it everywhere.
 * Throws UNSUPPORTED_SECURITY when the profile asked for cannot be applied.
 */
export function resolveApparmor(
  profile: { type: 'runtime-default' | 'unconfined' | 'localhost'; localhostRef: string } | undefined,
  host: MandatoryAccessControl,
): string | undefined {
  if (profile === undefined || profile.type !== 'localhost') return undefined;
  const name = profile.localhostRef;
  if (name === '') throw unsupported('an AppArmor profile of type Localhost was asked for without its name', 'name the profile');
  if (!host.apparmor) {
    throw unsupported(
      `the AppArmor profile ${JSON.stringify(name)} was asked for, but this node’s kernel has no AppArmor`,
      'use a node that has it, or drop the profile',
    );
  }
  if (!isLoaded(name)) {
    throw unsupported(`the AppArmor profile ${JSON.stringify(name)} is not loaded on this node`, 'load it with apparmor_parser');
  }
  return name;
}

/** The SELinux label of a process; undefined for none. Throws UNSUPPORTED_SECURITY where the kernel has no SELinux. */
export function resolveSelinux(
  options: { user: string; role: string; type: string; level: string } | undefined,
  host: MandatoryAccessControl,
): string | undefined {
  if (options === undefined) return undefined;
  const label = [options.user, options.role, options.type, options.level];
  if (label.every((part) => part === '')) return undefined;
  if (!host.selinux) {
    throw unsupported(
      `the SELinux label ${JSON.stringify(label.join(':'))} was asked for, but this node’s kernel has no SELinux`,
      'use a node that has it, or drop seLinuxOptions',
    );
  }
  return label.map((part, index) => part || SELINUX_DEFAULTS[index]).join(':');
}

/** container_t is the type that Fedora’s container-selinux policy gives containers. */
const SELINUX_DEFAULTS = ['system_u', 'system_r', 'container_t', 's0'];

function isLoaded(name: string): boolean {
  // "NAME (enforce)", one a line
  return readOr(APPARMOR_PROFILES, '')
    .split('\n')
    .some((line) => line.replace(/ \(\w+\)$/, '') === name);
}

function readOr(path: string, absent: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return absent;
    throw new RuntimeError(
      'internal',
      'UNSUPPORTED_SECURITY',
      `reading ${path} failed: ${messageOf(error)}; check that securityfs is mounted`,
    );
  }
}

const unsupported = (what: string, advice: string): RuntimeError =>
  new RuntimeError('invalid', 'UNSUPPORTED_SECURITY', `${what}; ${advice}`);
