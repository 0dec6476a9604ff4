/**
 * The kernel switches that the embedded network needs. Those of the whole host
 * (forwarding) are written only when they are off, remembered in the store
 * with their former value and said in the log; those of the bridge go with it.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { errnoOf, messageOf, RuntimeError } from '../../errors/index.ts';
import type { Table } from '../../store/index.ts';

const ROOT = '/proc/sys/net';
/** Row of `settings` that remembers: path under /proc/sys/net → former value. */
const CHANGED = 'network.changedSysctls';

/** What of the `settings` table is used here. */
export type SysctlMemory = Table<unknown>;

/** Sets one switch of the current network namespace, by its path under /proc/sys/net. Returns the former value when it was another. */
export function setSysctl(path: string, value: string): string | undefined {
  try {
    const former = readFileSync(`${ROOT}/${path}`, 'utf8').trim();
    if (former === value) return undefined;
    writeFileSync(`${ROOT}/${path}`, value);
    return former;
  } catch (error) {
    throw new RuntimeError(
      'internal',
      'NETWORK_FAILED',
      `setting net/${path} to ${value} failed: ${messageOf(error)}; the pod network needs it: set it by hand or let berth write /proc/sys`,
      { cause: error },
    );
  }
}

/** As setSysctl, where a kernel without IPv6 is no failure. */
export function setSysctlIfPresent(path: string, value: string): void {
  if (hasSysctl(path)) setSysctl(path, value);
}

/** Turns forwarding on for the families; returns what was changed, as `NAME=VALUE`. */
export function enableForwarding(ipv6: boolean, memory: SysctlMemory): string[] {
  const wanted: [string, string][] = [['ipv4/ip_forward', '1']];
  if (ipv6 && readSysctl('ipv6/conf/all/forwarding') !== '1') wanted.push(...keepRouterAdvertisements(), ['ipv6/conf/all/forwarding', '1']);
  const changed: string[] = [];
  for (const [path, value] of wanted) {
    if (readSysctl(path) === value) continue;
    remember(memory, path);
    setSysctl(path, value);
    changed.push(`net.${path.replaceAll('/', '.')}=${value}`);
  }
  return changed;
}

/** Puts back the host's switches that were changed here, and forgets them. */
export function restoreSysctls(memory: SysctlMemory): void {
  for (const [path, value] of Object.entries(remembered(memory)).reverse()) {
    setSysctlIfPresent(path, value); // its interface may have gone
  }
  memory.delete(CHANGED);
}

/** A forwarding host drops router advertisements unless accept_ra is 2: without this its own IPv6 default route would expire. */
function keepRouterAdvertisements(): [string, string][] {
  const names = readdirSync(`${ROOT}/ipv6/conf`).filter((name) => name !== 'all' && name !== 'default' && name !== 'lo');
  const paths = names.map((name) => `ipv6/conf/${name}/accept_ra`);
  return paths.filter((path) => readSysctl(path) === '1').map((path) => [path, '2']);
}

function readSysctl(path: string): string | undefined {
  try {
    return readFileSync(`${ROOT}/${path}`, 'utf8').trim();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const hasSysctl = (path: string): boolean => readSysctl(path) !== undefined;

function remembered(memory: SysctlMemory): Record<string, string> {
  const row = memory.get(CHANGED);
  return typeof row === 'object' && row !== null ? (row as Record<string, string>) : {};
}

/** Stores the present value before it is changed; a former memory of the same switch stands. */
function remember(memory: SysctlMemory, path: string): void {
  const former = readSysctl(path);
  if (former === undefined) return; // setSysctl will say what is missing
  memory.put(CHANGED, { [path]: former, ...remembered(memory) });
}
