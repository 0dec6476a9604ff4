/**
 * CNI configuration files to one shape (CNI spec 1.1, "Network configuration
 * format"): a list of plugins under a name and a version. Pure. A single
 * plugin's file is a list of one. What a plugin's configuration holds besides
 * its type and capabilities is the plugin's own and passed on as it is.
 */
import { messageOf, RuntimeError } from '../../errors/index.ts';
import { isRecord } from './json.ts';

/** Versions berth speaks, oldest first (results since 0.3.0 have the ips list). */
const CNI_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

/** Configuration of one plugin, verbatim. */
export interface PluginConfig {
  type: string;
  [key: string]: unknown;
}

/** A network: plugins that are run one after the other. */
export interface NetworkConfig {
  name: string;
  cniVersion: string;
  plugins: PluginConfig[];
  /** File it came from. */
  source: string;
}

const NAME = /^[A-Za-z0-9][\w.-]*$/;

/** The network of a file's text. Throws CNI_CONFIG with the file's path and what is wrong in it. */
export function parseNetworkConfig(text: string, source: string): NetworkConfig {
  const fail = (what: string): never => {
    throw new RuntimeError(
      'precondition',
      'CNI_CONFIG',
      `the CNI configuration ${source} is not usable: ${what}; correct or remove the file`,
    );
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return fail(`it is not JSON (${messageOf(error)})`);
  }
  if (!isRecord(json)) return fail('it is not a JSON object');
  const { name, plugins } = json;
  if (typeof name !== 'string' || !NAME.test(name))
    return fail('"name" is missing or has other characters than letters, digits, ".", "_" and "-"');
  const cniVersion = newestKnown(json);
  if (cniVersion === undefined) return fail(`"cniVersion" ${JSON.stringify(json.cniVersion)} is none of ${CNI_VERSIONS.join(', ')}`);
  const list: unknown[] = plugins === undefined ? [single(json)] : Array.isArray(plugins) ? plugins : fail('"plugins" is not a list');
  if (list.length === 0) return fail('"plugins" is empty');
  return {
    name,
    cniVersion,
    source,
    plugins: list.map((entry, position) => plugin(entry) ?? fail(`plugin ${position + 1} has no "type", or one with a "/"`)),
  };
}

/** A plugin's file without the fields that the runtime adds again for every run. */
function single(json: Record<string, unknown>): Record<string, unknown> {
  const { name: _name, cniVersion: _version, cniVersions: _versions, ...rest } = json;
  return rest;
}

function plugin(entry: unknown): PluginConfig | undefined {
  // The type is looked up as a file name, so it must not climb out of the directory.
  if (!isRecord(entry) || typeof entry.type !== 'string' || entry.type === '' || entry.type.includes('/')) return undefined;
  return { ...entry, type: entry.type };
}

/** The newest version that both the file (cniVersion, or any of cniVersions) and berth know. */
function newestKnown(json: Record<string, unknown>): string | undefined {
  const offered = new Set([json.cniVersion, ...(Array.isArray(json.cniVersions) ? json.cniVersions : [])]);
  return CNI_VERSIONS.findLast((version) => offered.has(version));
}

/** True for a file that only sets up lo, which berth does itself: it is no pod network. */
export const isLoopbackOnly = (config: NetworkConfig): boolean => config.plugins.every((entry) => entry.type === 'loopback');
