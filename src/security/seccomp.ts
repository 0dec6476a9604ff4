/**
 * Seccomp profiles in the form of runtime-spec linux.seccomp: berth's own
 * RuntimeDefault, made for the capabilities a container really gets, and a
 * node-local file (type Localhost) in the same form.
 */
import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';
import { ALLOWED, ALLOWED_ON, ALLOWED_WITH } from './syscalls.ts';

/** A condition on one argument of a call (runtime-spec config-linux.md seccomp). */
export interface SeccompArgument {
  index: number;
  value: number;
  valueTwo?: number;
  op: string;
}

/** What happens to some calls. */
export interface SeccompRule {
  names: string[];
  action: string;
  errnoRet?: number;
  args?: SeccompArgument[];
}

/** runtime-spec linux.seccomp. */
export interface SeccompProfile {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  syscalls?: SeccompRule[];
}

// errno(3)
const EPERM = 1;
const ENOSYS = 38;
/** clone(2): CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const NEW_NAMESPACES = 0x7e02_0000;
/** socket(2) AF_VSOCK reaches the hypervisor of the node past every network policy. */
const AF_VSOCK = 40;
/** personality(2): Linux, Linux32, with UNAME26, and the query. ADDR_NO_RANDOMIZE is not among them. */
const PERSONALITIES = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/** Foreign calls that the kernel of an architecture (process.arch) takes too: a filter that does not name them kills 32-bit programs. */
const ARCHITECTURES: Readonly<Record<string, string[]>> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
};

/** The RuntimeDefault profile for a container with these capabilities on an architecture (as process.arch says it). */
export function defaultSeccomp(capabilities: ReadonlySet<string>, architecture: string): SeccompProfile {
  const always = [...Object.values(ALLOWED).flat(), ...(ALLOWED_ON[architecture] ?? [])];
  const privileged = Object.entries(ALLOWED_WITH).flatMap(([capability, calls]) => (capabilities.has(capability) ? calls : []));
  const syscalls: SeccompRule[] = [
    { names: [...new Set([...always, ...privileged])].sort(), action: 'SCMP_ACT_ALLOW' },
    allowIf('socket', { index: 0, value: AF_VSOCK, op: 'SCMP_CMP_NE' }),
    ...PERSONALITIES.map((value) => allowIf('personality', { index: 0, value, op: 'SCMP_CMP_EQ' })),
  ];
  if (!capabilities.has('CAP_SYS_ADMIN')) {
    syscalls.push(
      // (flags & NEW_NAMESPACES) == 0
      allowIf('clone', { index: 0, value: NEW_NAMESPACES, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }),
      // Its flags are in memory, out of a filter's sight. ENOSYS makes libc fall back to clone; EPERM would not.
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
    );
  }
  const architectures = ARCHITECTURES[architecture];
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    ...(architectures === undefined ? {} : { architectures }),
    syscalls,
  };
}

const allowIf = (name: string, argument: SeccompArgument): SeccompRule => ({ names: [name], action: 'SCMP_ACT_ALLOW', args: [argument] });

/**
 * The profile in a file of the node. Throws UNSUPPORTED_SECURITY with the path
 * and the fault when it cannot be used.
 */
export function loadSeccomp(path: string): SeccompProfile {
  if (!isAbsolute(path)) throw unusable(path, 'the path is not absolute', 'give the absolute path of a file on the node');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw unusable(path, 'there is no such file on this node', 'put it there');
    throw unusable(path, messageOf(error), 'make it a readable file');
  }
  return parseSeccomp(text, path);
}

/** The profile in `text`; `path` is for messages. Only what a runtime would misunderstand is checked here. */
function parseSeccomp(text: string, path: string): SeccompProfile {
  let profile: unknown;
  try {
    profile = JSON.parse(text);
  } catch (error) {
    throw unusable(path, `it is not JSON (${messageOf(error)})`, 'correct it');
  }
  if (!isRecord(profile)) throw unusable(path, 'it is not a JSON object', 'correct it');
  if (typeof profile.defaultAction !== 'string' || !profile.defaultAction.startsWith('SCMP_ACT_')) {
    throw unusable(path, 'defaultAction is missing or not one of SCMP_ACT_…', 'set it, e.g. to SCMP_ACT_ERRNO');
  }
  const { syscalls } = profile;
  if (syscalls !== undefined && !(Array.isArray(syscalls) && syscalls.every(isRule))) {
    throw unusable(path, 'syscalls is not a list of {names, action}', 'correct it');
  }
  return profile as unknown as SeccompProfile;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const isRule = (rule: unknown): boolean =>
  isRecord(rule) && typeof rule.action === 'string' && Array.isArray(rule.names) && rule.names.every((name) => typeof name === 'string');

const unusable = (path: string, what: string, advice: string): RuntimeError =>
  new RuntimeError('invalid', 'UNSUPPORTED_SECURITY', `the seccomp profile ${path} cannot be used: ${what}; ${advice}`);
