/** What a container may do: capabilities, seccomp, AppArmor and SELinux, hidden paths. */
export { type CapabilitySets, resolveCapabilities } from './capabilities.ts';
export { detectMandatoryAccessControl, type MandatoryAccessControl, resolveApparmor, resolveSelinux } from './mac.ts';
export { DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS } from './paths.ts';
export { defaultSeccomp, loadSeccomp, type SeccompProfile } from './seccomp.ts';
