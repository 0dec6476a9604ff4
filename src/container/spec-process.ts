/**
 * What a container runs: the command out of the pod's and the image's halves,
 * the environment, the working directory. Pure.
 *
 * An environment value is bytes to kubelet and the kernel, but text in the OCI
 * runtime's config.json. A value that is not UTF-8 cannot be handed on; it is
 * refused by name, since a secret that was changed silently is worse.
 */
import { posix } from 'node:path';
import { RuntimeError } from '../errors/index.ts';
import type { ImageConfig } from '../image/index.ts';
import type { ContainerSpec } from './types.ts';

/** For images that set none; the one Docker has always used. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The argument vector (api.proto ContainerConfig.command, args). Throws INVALID_ARGUMENT when there is no command at all. */
export function commandOf(spec: Pick<ContainerSpec, 'command' | 'args'>, image: Pick<ImageConfig, 'entrypoint' | 'cmd'>): string[] {
  const argv =
    spec.command.length > 0 ? [...spec.command, ...spec.args] : [...image.entrypoint, ...(spec.args.length > 0 ? spec.args : image.cmd)];
  const nul = argv.find((argument) => argument.includes('\0'));
  if (nul !== undefined) throw invalid('the command has an argument with a NUL byte', 'remove the byte');
  if (argv[0] === undefined || argv[0] === '') throw invalid('neither the container nor its image names a command', 'set the command');
  return argv;
}

/** NAME=VALUE lines: defaults, then the image's, then the pod's; a later one replaces an earlier in its place. */
export function environmentOf(spec: Pick<ContainerSpec, 'envs' | 'tty'>, image: Pick<ImageConfig, 'env'>, hostname: string): string[] {
  const merged = new Map<string, string>([['PATH', DEFAULT_PATH]]);
  if (spec.tty) merged.set('TERM', 'xterm');
  if (hostname !== '') merged.set('HOSTNAME', hostname);
  for (const line of image.env) {
    const at = line.indexOf('=');
    if (at > 0) merged.set(line.slice(0, at), line.slice(at + 1));
  }
  for (const { key, value } of spec.envs) merged.set(key, decode(key, value));
  return [...merged].map(([key, value]) => `${key}=${value}`);
}

/** The working directory, absolute and normalized; the OCI runtime makes it when it is missing. */
export function workingDirectoryOf(spec: Pick<ContainerSpec, 'workingDir'>, image: Pick<ImageConfig, 'workingDir'>): string {
  return posix.resolve('/', spec.workingDir || image.workingDir || '/');
}

function decode(key: string, value: Uint8Array): string {
  if (key === '' || key.includes('=') || key.includes('\0')) {
    throw invalid(`the environment variable name ${JSON.stringify(key)} is empty or has a = or NUL in it`, 'rename it');
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    throw invalid(
      `the value of the environment variable ${key} is not UTF-8, which the OCI runtime’s configuration cannot carry`,
      'encode it (e.g. base64) or mount it as a file',
    );
  }
  if (text.includes('\0')) throw invalid(`the value of the environment variable ${key} has a NUL byte`, 'mount it as a file');
  return text;
}

const invalid = (what: string, advice: string): RuntimeError => new RuntimeError('invalid', 'INVALID_ARGUMENT', `${what}; ${advice}`);
