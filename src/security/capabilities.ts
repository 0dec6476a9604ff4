/**
 * Capabilities of a container (capabilities(7), api.proto Capability): which
 * it gets by default, what adding and dropping do, and what this host lets
 * berth give at all. Pure.
 */
import { RuntimeError } from '../errors/index.ts';

/** What containers have been given by default since Docker; images rely on it. */
const DEFAULT_CAPABILITIES = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
] as const;

/** Every capability up to Linux 6.18 (linux/capability.h). */
const KNOWN_CAPABILITIES: ReadonlySet<string> = new Set([
  ...DEFAULT_CAPABILITIES,
  'CAP_AUDIT_CONTROL',
  'CAP_AUDIT_READ',
  'CAP_BLOCK_SUSPEND',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
  'CAP_DAC_READ_SEARCH',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_LEASE',
  'CAP_LINUX_IMMUTABLE',
  'CAP_MAC_ADMIN',
  'CAP_MAC_OVERRIDE',
  'CAP_NET_ADMIN',
  'CAP_NET_BROADCAST',
  'CAP_PERFMON',
  'CAP_SYSLOG',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_MODULE',
  'CAP_SYS_NICE',
  'CAP_SYS_PACCT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_WAKE_ALARM',
]);

/** What a container asks for; names with or without CAP_, in any case, and ALL. */
export interface CapabilityRequest {
  add: readonly string[];
  drop: readonly string[];
  addAmbient: readonly string[];
  privileged: boolean;
}

/** runtime-spec process.capabilities, and what could not be given. */
export interface CapabilitySets {
  bounding: string[];
  effective: string[];
  permitted: string[];
  /** Ambient ones alone: a larger set lets file capabilities leak (CVE-2022-24769). */
  inheritable: string[];
  ambient: string[];
  /** Asked for by name, and not berth's to give on this host. */
  clamped: string[];
}

/**
 * The sets for a request on a host that lets berth give `available`.
 *
 * ALL is applied before names, so "drop ALL, add X" is X alone and "add ALL,
 * drop X" everything but X. Throws INVALID_ARGUMENT for a name that no kernel
 * knows; one that this host cannot give is left out and told in `clamped`.
 */
export function resolveCapabilities(request: CapabilityRequest, available: ReadonlySet<string>): CapabilitySets {
  const add = normalize(request.add, 'add');
  const drop = normalize(request.drop, 'drop');
  const ambientAsked = normalize(request.addAmbient, 'add ambient');
  const wanted = request.privileged ? new Set(KNOWN_CAPABILITIES) : selected(add, drop);
  for (const name of ambientAsked) if (name === ALL) for (const all of KNOWN_CAPABILITIES) wanted.add(all);
  for (const name of ambientAsked) if (name !== ALL) wanted.add(name);
  const given = [...wanted].filter((name) => available.has(name)).sort();
  const ambient = given.filter((name) => ambientAsked.has(ALL) || ambientAsked.has(name));
  // ALL means "what there is"; only names are worth a word when they are not there.
  const named = [...add, ...ambientAsked].filter((name) => name !== ALL && wanted.has(name));
  const clamped = [...new Set(named)].filter((name) => !available.has(name)).sort();
  return { bounding: given, effective: given, permitted: given, inheritable: ambient, ambient, clamped };
}

const ALL = 'ALL';

function selected(add: ReadonlySet<string>, drop: ReadonlySet<string>): Set<string> {
  let wanted = new Set<string>(DEFAULT_CAPABILITIES);
  if (add.has(ALL)) wanted = new Set(KNOWN_CAPABILITIES);
  if (drop.has(ALL)) wanted = new Set();
  for (const name of add) if (name !== ALL) wanted.add(name);
  for (const name of drop) wanted.delete(name);
  return wanted;
}

function normalize(names: readonly string[], what: string): Set<string> {
  return new Set(
    names.map((given) => {
      const name = given.toUpperCase();
      if (name === ALL || name === `CAP_${ALL}`) return ALL;
      const full = name.startsWith('CAP_') ? name : `CAP_${name}`;
      if (KNOWN_CAPABILITIES.has(full)) return full;
      const message = `the capability ${JSON.stringify(given)} to ${what} does not exist; see capabilities(7) for the names`;
      throw new RuntimeError('invalid', 'INVALID_ARGUMENT', message);
    }),
  );
}
