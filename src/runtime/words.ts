/**
 * What an OCI runtime said, made fit for a person: crun and runc log as JSON
 * lines, logfmt lines or plain text, wrap the cause in layers of "starting
 * container process caused", and name the same failure differently. Pure
 * functions; the same failure always gives the same text, without ids, pids
 * or times, because it becomes a pod event.
 */

/** What part of the request a failure blames. */
export type Blame =
  | 'program' // the command, its permissions, its working directory or its user
  | 'container'; // anything else: mounts, cgroups, security, the runtime itself

/** A failure in words. */
export interface Failure {
  blame: Blame;
  /** The runtime's own words, cleaned, without a full stop. */
  words: string;
  /** What to do, an imperative sentence without a full stop. */
  advice: string;
}

/** A message longer than this is cut: gRPC puts it into an HTTP header (8 KiB with percent-encoding). */
const WORDS_LIMIT_CHARS = 1024;

interface Line {
  level: string;
  text: string;
}

const LOGFMT_MESSAGE = /\bmsg=("(?:[^"\\]|\\.)*"|\S+)/;
const LOGFMT_LEVEL = /\blevel=(\w+)/;
const LOGFMT_ERROR = /\berror=("(?:[^"\\]|\\.)*"|\S+)/;
/** crun's text log opens with a time. */
const LEADING_TIME = /^\d{4}-\d\d-\d\dT[\d:.]+Z?:? /;

/** Wrappers that say only that something failed. */
const WRAPPERS = [
  /^runc (?:create|run|exec|start) failed: /,
  /^(?:create|exec|start) failed: /,
  /^unable to start container process: /,
  /^error during container init: /,
  /^error starting setns process: /,
  /^(?:container_linux|process_linux|rootfs_linux|standard_init_linux|setns_init_linux)\.go:\d+: /,
  /^(?:starting|creating) container (?:process )?caused:? /,
  /^container init caused:? /,
  /^Failed to create container: /,
];

/** What differs between two runs of the same failure. */
const NOISE: readonly [RegExp, string][] = [
  [/\b[0-9a-f]{64}\b/g, 'ID'],
  [/\/proc\/\d+\//g, '/proc/PID/'],
  [/\/proc\/(?:self|thread-self)\/fd\/\d+/g, 'a descriptor'],
  [/\b(pid|process) \d+\b/g, '$1 PID'],
];

/** crun's forms of failures that runc words differently, brought to one form. */
const FORMS: readonly [RegExp, string][] = [
  [/^executable file `(\/[^`]*)` not found in \$PATH(?:: No such file or directory)?$/, 'exec: "$1": no such file or directory'],
  [/^executable file `([^`]*)` not found in \$PATH(?:: No such file or directory)?$/, 'exec: "$1": executable file not found in $PATH'],
  [/^exec: ("[^"]*"): stat [^:]*: (.*)$/, 'exec: $1: $2'],
  [/^exec container process(?: \(missing dynamic library\?\))? `([^`]*)`: (.*)$/, 'exec: "$1": $2'],
  [/^chdir `([^`]*)`: (.*)$/, 'chdir to cwd ("$1"): $2'],
  [/^chdir to cwd \("([^"]*)"\) set in config\.json failed: (.*)$/, 'chdir to cwd ("$1"): $2'],
];
const CRUN_NAMELESS = /^open executable: (.*)$/;

const ADVICE: readonly [RegExp, Blame, string][] = [
  [/^exec: .*(?:no such file|not found)/i, 'program', 'check the command and its path inside the image'],
  [
    /^exec: .*(?:permission denied|not permitted|is a directory)/i,
    'program',
    'the command must be an executable file that the user may run',
  ],
  [/exec format error/i, 'program', 'use an image for this machine’s architecture, and start scripts with a #! line'],
  [
    /^(?:chdir|mkdir|cwd|getcwd|current working directory)\b/i,
    'program',
    'check the working directory: it must be a directory that the user may enter',
  ],
  [/^(?:setuid|setgid|setgroups|set(?:res)?[ug]id|unable to (?:find|set) user)/i, 'program', 'check the user and groups of the container'],
  [/oom|memory limit/i, 'container', 'raise the memory limit: the container could not even be set up within it'],
  [/no space left/i, 'container', 'free space on the file system the message names'],
  [/seccomp/i, 'container', 'check the seccomp profile'],
  [/apparmor/i, 'container', 'check that the AppArmor profile is loaded on the node'],
  [/mount|rootfs/i, 'container', 'check the volumes of the container'],
  [/cgroup|resource/i, 'container', 'check the resource limits and, with `berth doctor`, the cgroups of the node'],
  [/sysctl/i, 'container', 'check the sysctls of the pod'],
];

/**
 * The failure in `log`, an OCI runtime's log or standard error. `program` is
 * the first argument of the command, for messages that do not name it.
 */
export function explain(log: string, program: string): Failure {
  const words = tidy(pick(parse(log)), program);
  for (const [pattern, blame, advice] of ADVICE) if (pattern.test(words)) return { blame, words, advice };
  return { blame: 'container', words, advice: 'run `berth doctor`, and look at the kernel’s log' };
}

/** True when the runtime says that the process to be signalled has ended. */
export function saysNoProcess(log: string): boolean {
  return /process already finished|no such process|container not running|is not running|not in running/i.test(log);
}

function parse(log: string): Line[] {
  return log
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map(parseLine);
}

function parseLine(line: string): Line {
  if (line.startsWith('{')) {
    const parsed = parseJson(line);
    if (parsed !== undefined) return parsed;
  }
  const message = LOGFMT_MESSAGE.exec(line)?.[1];
  if (message === undefined) return { level: 'error', text: line.replace(LEADING_TIME, '') };
  const detail = LOGFMT_ERROR.exec(line)?.[1];
  const text = unquote(message) + (detail === undefined ? '' : `: ${unquote(detail)}`);
  return { level: LOGFMT_LEVEL.exec(line)?.[1] ?? 'error', text };
}

function parseJson(line: string): Line | undefined {
  try {
    const entry = JSON.parse(line) as { msg?: unknown; level?: unknown };
    if (typeof entry.msg !== 'string') return undefined;
    return { level: typeof entry.level === 'string' ? entry.level : 'error', text: entry.msg };
  } catch {
    return undefined; // cut in the middle, or not JSON after all: shown as it is
  }
}

function unquote(text: string): string {
  if (!text.startsWith('"')) return text;
  return text.slice(1, -1).replace(/\\(.)/g, (_all, char: string) => (char === 'n' ? '\n' : char === 't' ? '\t' : char));
}

/** The last error; everything when none is called one. */
function pick(lines: readonly Line[]): string {
  const error = lines.findLast((line) => line.level === 'error' || line.level === 'fatal');
  return error?.text ?? lines.map((line) => line.text).join('; ');
}

function tidy(raw: string, program: string): string {
  let text = raw.trim();
  for (let before = ''; before !== text; ) {
    before = text;
    for (const wrapper of WRAPPERS) text = text.replace(wrapper, '');
  }
  for (const [pattern, replacement] of FORMS) text = text.replace(pattern, replacement);
  text = text.replace(CRUN_NAMELESS, (_all, cause: string) => `exec: ${JSON.stringify(program)}: ${cause}`);
  if (/^(?:exec|chdir)\b/.test(text))
    text = text.replace(/: ([A-Z])([a-z]+[^:]*)$/, (_all, first: string, rest: string) => `: ${first.toLowerCase()}${rest}`);
  for (const [pattern, replacement] of NOISE) text = text.replace(pattern, replacement);
  text = text.replace(/\s*\n\s*/g, '; ').replace(/[.\s]+$/, '');
  if (text === '') return 'it gave no reason';
  return text.length > WORDS_LIMIT_CHARS ? `${text.slice(0, WORDS_LIMIT_CHARS)}…` : text;
}
