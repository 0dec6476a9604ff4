/**
 * Flags that several commands share, and the checks of flag values: each
 * answers what is wrong with a value, in words that follow "VALUE ", or
 * undefined.
 */
import type { Flag } from '../command.ts';
import { parseDuration } from '../units.ts';

export const matches = (test: boolean, form: string): string | undefined => (test ? undefined : `is not ${form}`);
export const isCount = (value: string): string | undefined => matches(/^\d{1,9}$/.test(value), 'a whole number');
export const isDuration = (value: string): string | undefined =>
  matches(parseDuration(value) !== undefined, 'a duration such as 30s, 5m or 1h30m');
export const isPair = (value: string): string | undefined => matches(/^[^=]+=/.test(value), 'KEY=VALUE');
const isLabel = (value: string): string | undefined => matches(/^[^=]+(=.*)?$/.test(value), 'KEY or KEY=VALUE');
export const isPort = (value: string): string | undefined => {
  const [, host, container] =
    /^(?:(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):)?(\d{1,5}):(\d{1,5})(?:\/(?:tcp|udp|sctp))?$/.exec(value) ?? [];
  const ports = [Number(host), Number(container)];
  return matches(
    ports.every((port) => port >= 1 && port <= 65_535),
    '[IP:]HOSTPORT:CONTAINERPORT[/tcp|udp|sctp] with ports from 1 to 65535',
  );
};
export const isVolume = (value: string): string | undefined =>
  matches(/^\/[^:]*:\/[^:]*(:(ro|rw))?$/.test(value), '/HOSTPATH:/CONTAINERPATH[:ro]');

export const NAMESPACE: Flag = { name: 'namespace', short: 'n', value: 'NAMESPACE', summary: 'Only of pods in this Kubernetes namespace' };
export const NAME: Flag = { name: 'name', value: 'NAME', summary: 'Only of this name; * stands for anything' };
export const LABEL: Flag = {
  name: 'label',
  short: 'l',
  value: 'KEY[=VALUE]',
  repeatable: true,
  check: isLabel,
  summary: 'Only with this label',
};
export const QUIET: Flag = { name: 'quiet', short: 'q', summary: 'Print only ids' };
export const TIMEOUT: Flag = {
  name: 'timeout',
  short: 't',
  value: 'SECONDS',
  check: isCount,
  summary: 'Time to end by itself before it is killed (default 10)',
};
export const CREDS: Flag = {
  name: 'creds',
  value: 'USER:PASSWORD',
  summary: 'Credentials for the registry; $BERTH_CREDS keeps them out of the process list',
};

export function output(...formats: string[]): Flag {
  return { name: 'output', short: 'o', value: 'FORMAT', choices: formats, summary: 'Output format' };
}
