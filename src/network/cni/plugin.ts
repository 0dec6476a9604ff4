/**
 * One run of one CNI plugin by the exec protocol (CNI spec, "Section 2"):
 * the command in the environment, the configuration on stdin, the answer on
 * stdout. Whatever the plugin does - hang, crash, print nonsense - ends here
 * as one RuntimeError that names it, within its time.
 */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { RuntimeError } from '../../errors/index.ts';
import { type RunResult, run } from '../../sys/index.ts';
import { parsePluginError, TRY_AGAIN_LATER } from './result.ts';

/** One run. */
export interface PluginRun {
  command: 'ADD' | 'DEL';
  /** Plugin type, also the name of its binary. */
  type: string;
  binDirs: readonly string[];
  /** What it reads on stdin. */
  config: Record<string, unknown>;
  containerId: string;
  /** '' when the namespace is gone (DEL only). */
  netnsPath: string;
  interfaceName: string;
  /** CNI_ARGS. */
  args: string;
  /** Network and pod, for messages. */
  subject: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/** Plugins run iptables, ip and modprobe by name. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Bytes of a plugin's own words kept in a message. */
const WORDS_MAX = 1024;

/** The binary of a plugin. Throws CNI_PLUGIN_MISSING with the directories. */
export function findPlugin(type: string, binDirs: readonly string[]): string {
  const found = binDirs.map((dir) => join(dir, type)).find(isExecutable);
  if (found !== undefined) return found;
  throw new RuntimeError(
    'precondition',
    'CNI_PLUGIN_MISSING',
    `the CNI plugin ${type} is not installed in ${binDirs.join(', ')}; install it there or add its directory to network.cni_bin_dirs`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // not there or not executable: looked for in the next directory
  }
}

/** Runs the plugin; returns what it printed as JSON, undefined when it printed nothing. Throws CNI_FAILED, CNI_TIMEOUT, CNI_PLUGIN_MISSING. */
export async function runPlugin(plugin: PluginRun): Promise<unknown> {
  const binary = findPlugin(plugin.type, plugin.binDirs);
  const result = await run({
    argv: [binary],
    env: {
      PATH,
      CNI_COMMAND: plugin.command,
      CNI_CONTAINERID: plugin.containerId,
      CNI_NETNS: plugin.netnsPath,
      CNI_IFNAME: plugin.interfaceName,
      CNI_ARGS: plugin.args,
      CNI_PATH: plugin.binDirs.join(':'),
    },
    input: JSON.stringify(plugin.config),
    timeoutMs: plugin.timeoutMs,
    signal: plugin.signal,
  });
  const what = `CNI plugin ${plugin.type} (${plugin.command}, ${plugin.subject})`;
  if (result.timedOut) {
    throw new RuntimeError(
      'unavailable',
      'CNI_TIMEOUT',
      `${what} did not answer in ${plugin.timeoutMs / 1000} s and was killed${said(result)}; look at what it waits for`,
    );
  }
  if (result.status.code !== 0) throw failure(what, result);
  return parseAnswer(what, result);
}

function failure(what: string, result: RunResult): RuntimeError {
  const error = parsePluginError(result.stdout.toString());
  if (error === undefined) {
    const end = result.status.code === undefined ? `was killed by signal ${result.status.signal}` : `exited with ${result.status.code}`;
    return new RuntimeError('internal', 'CNI_FAILED', `${what} ${end}${said(result)}`);
  }
  const details = error.details === '' ? '' : ` (${error.details})`;
  return new RuntimeError(
    error.code === TRY_AGAIN_LATER ? 'unavailable' : 'internal',
    'CNI_FAILED',
    `${what} failed with code ${error.code}: ${cut(error.msg + details)}${said({ ...result, stdout: Buffer.alloc(0) })}`,
  );
}

function parseAnswer(what: string, result: RunResult): unknown {
  const text = result.stdout.toString().trim();
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RuntimeError('internal', 'CNI_FAILED', `${what} printed something else than JSON${said(result)}`, { cause: error });
  }
}

/** The plugin's own words: stderr, or stdout when it wrote nothing there. */
function said(result: RunResult): string {
  const words = cut(result.stderr.toString().trim() || result.stdout.toString().trim());
  return words === '' ? '' : `, saying ${JSON.stringify(words)}`;
}

/** The end of a long text, where tools put their reason. */
const cut = (text: string): string => (text.length <= WORDS_MAX ? text : `...${text.slice(-WORDS_MAX)}`);
