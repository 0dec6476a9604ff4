/** Is the kernel new enough for the calls berth makes? */
import { release } from 'node:os';
import { type Check, type CheckGroup, fail, ok, warn } from './check.ts';

/** openat2(2), without which layers cannot be unpacked safely. */
const NEEDED = '5.6';
/** cgroup.kill, idmapped mounts and overlay's newer options; below that berth has slower ways. */
const WANTED = '5.15';

export const kernelChecks: CheckGroup = { name: 'kernel', run: () => [kernelVersion(release()), architecture(process.arch)] };

/** Judges a kernel's release, as `uname -r` prints it. */
export function kernelVersion(running: string): Check {
  const message = `Linux ${running}`;
  if (isOlder(running, NEEDED))
    return fail('kernel.version', `${message} is too old`, `run Linux ${NEEDED} or newer; ${WANTED} or newer is better`);
  if (isOlder(running, WANTED)) return warn('kernel.version', `${message} lacks what berth likes to use`, `run Linux ${WANTED} or newer`);
  return ok('kernel.version', message);
}

function architecture(arch: string): Check {
  if (arch === 'x64' || arch === 'arm64') return ok('kernel.architecture', arch);
  return fail('kernel.architecture', `${arch} is not supported`, 'use an x86-64 or arm64 machine');
}

function isOlder(running: string, than: string): boolean {
  const [major = 0, minor = 0] = running.split(/[.-]/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = than.split('.').map(Number);
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
}
