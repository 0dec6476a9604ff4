/**
 * Profiles a container is confined by, as far as they need the host: loaded
 * and checked before anything is made, so that what cannot be enforced is
 * refused and never ignored.
 */
import {
  type CapabilitySets,
  defaultSeccomp,
  loadSeccomp,
  resolveApparmor,
  resolveCapabilities,
  resolveSelinux,
  type SeccompProfile,
} from '../security/index.ts';
import type { HostFacts } from './spec-host.ts';
import type { ContainerSecurity } from './types.ts';

/** What confines a container. */
export interface Confinement {
  capabilities: CapabilitySets;
  seccomp?: SeccompProfile;
  apparmorProfile?: string;
  selinuxLabel?: string;
}

/**
 * The confinement for a security context. A privileged container has no
 * profiles (api.proto privileged); no seccomp field means unconfined. Throws
 * UNSUPPORTED_SECURITY, and INVALID_ARGUMENT for an unknown capability.
 */
export function confinementOf(security: Readonly<ContainerSecurity>, facts: HostFacts): Confinement {
  const capabilities = resolveCapabilities(
    {
      add: security.addCapabilities,
      drop: security.dropCapabilities,
      addAmbient: security.addAmbientCapabilities,
      privileged: security.privileged,
    },
    facts.capabilities,
  );
  const selinuxLabel = resolveSelinux(security.selinux, facts.mandatoryAccessControl);
  const label = selinuxLabel === undefined ? {} : { selinuxLabel };
  if (security.privileged) return { capabilities, ...label };
  const seccomp = seccompOf(security, capabilities, facts.architecture);
  const apparmorProfile = resolveApparmor(security.apparmor, facts.mandatoryAccessControl);
  return {
    capabilities,
    ...label,
    ...(seccomp === undefined ? {} : { seccomp }),
    ...(apparmorProfile === undefined ? {} : { apparmorProfile }),
  };
}

function seccompOf(security: Readonly<ContainerSecurity>, capabilities: CapabilitySets, architecture: string): SeccompProfile | undefined {
  const profile = security.seccomp;
  if (profile === undefined || profile.type === 'unconfined') return undefined;
  if (profile.type === 'localhost') return loadSeccomp(profile.localhostRef);
  return defaultSeccomp(new Set(capabilities.bounding), architecture);
}
