/**
 * Capabilities by name (capabilities(7)), and those that berth itself may
 * hand on: in containers and some sandboxes root lacks a few, and asking for
 * one that is not there makes the OCI runtime's capset fail.
 */
import { readFileSync } from 'node:fs';

/** Bit n is the n-th name (linux/capability.h). */
const CAPABILITY_NAMES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
].map((name) => `CAP_${name}`);

let own: Set<string> | undefined;

/** The capabilities that are in this process's bounding and permitted sets, as `CAP_CHOWN`; they never grow while it runs. */
export function boundingCapabilities(): Set<string> {
  own ??= parseCapabilities(readFileSync('/proc/self/status', 'utf8'));
  return new Set(own);
}

/** What /proc/PID/status allows: its CapBnd and CapPrm masks together. Bits without a name here are left out. */
export function parseCapabilities(status: string): Set<string> {
  const mask = readMask(status, 'CapBnd') & readMask(status, 'CapPrm');
  return new Set(CAPABILITY_NAMES.filter((_, bit) => ((mask >> BigInt(bit)) & 1n) === 1n));
}

function readMask(status: string, field: string): bigint {
  const digits = new RegExp(`^${field}:\\s*([0-9a-fA-F]+)$`, 'm').exec(status)?.[1];
  return digits === undefined ? 0n : BigInt(`0x${digits}`);
}
