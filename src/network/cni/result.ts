/**
 * What a CNI plugin prints: the result of a success (CNI spec 0.3.0 to 1.1.0,
 * "ADD Success") or the error of a failure. Pure. Of a result berth needs the
 * pod's addresses; the whole of it is kept and handed on as prevResult.
 */
import { isIP } from 'node:net';
import { isRecord } from './json.ts';

/** A plugin's error (CNI spec, "Error"). */
export interface PluginError {
  code: number;
  msg: string;
  details: string;
}

/** CNI spec, "Error": 11, try again later. */
export const TRY_AGAIN_LATER = 11;

/** The error that a failed plugin printed; undefined when its output is none. */
export function parsePluginError(stdout: string): PluginError | undefined {
  let json: unknown;
  try {
    json = JSON.parse(stdout);
  } catch {
    return undefined; // plugins that crash print anything, or nothing
  }
  if (!isRecord(json) || typeof json.msg !== 'string') return undefined;
  return {
    code: typeof json.code === 'number' ? json.code : 0,
    msg: json.msg,
    details: typeof json.details === 'string' ? json.details : '',
  };
}

/**
 * The addresses of the pod's interface in a result, primary first, without
 * prefix lengths. Since 0.3.0 each entry of `ips` may point at an interface;
 * one that points at another interface of the chain (a bridge, a host end) is
 * not the pod's. The same address twice counts once.
 */
export function podAddresses(result: unknown, interfaceName: string): string[] {
  if (!isRecord(result) || !Array.isArray(result.ips)) return [];
  const interfaces: unknown[] = Array.isArray(result.interfaces) ? result.interfaces : [];
  const addresses = result.ips.filter(isRecord).flatMap((entry) => {
    const link = typeof entry.interface === 'number' ? interfaces[entry.interface] : undefined;
    if (isRecord(link) && (link.name !== interfaceName || isHostSide(link))) return [];
    const [address = ''] = typeof entry.address === 'string' ? entry.address.split('/') : [];
    return isIP(address) === 0 ? [] : [address];
  });
  return [...new Set(addresses)];
}

/** An interface without a sandbox is on the host. */
const isHostSide = (link: Record<string, unknown>): boolean => typeof link.sandbox !== 'string' || link.sandbox === '';
