/**
 * Device nodes of a container: those asked for, or every one of the host for a
 * privileged container. Reads the host's /dev; the node in the container is
 * made anew by the OCI runtime, with the same numbers and owner.
 */
import type { Dirent, Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';
import type { DeviceSpec } from './types.ts';

/** A device node and what may be done with it. */
export interface DeviceNode {
  path: string;
  type: 'c' | 'b';
  major: number;
  minor: number;
  fileMode: number;
  uid: number;
  gid: number;
  /** Some of r, w, m. */
  access: string;
}

/** Not the host's to share: the container has its own of these (devpts, /dev/shm, mqueue). */
const OWN_DIRECTORIES: ReadonlySet<string> = new Set(['/dev/pts', '/dev/shm', '/dev/mqueue', '/dev/fd', '/dev/.lxc', '/dev/.lxd-mounts']);
/** The OCI runtime makes the console itself. */
const OWN_NODES: ReadonlySet<string> = new Set(['/dev/console', '/dev/ptmx']);
const PERMISSION_BITS = 0o7777;
const ACCESS = /^[rwm]{1,3}$/;

/** The nodes for a container. Throws INVALID_ARGUMENT or MOUNT_SOURCE for a device that is none. */
export async function gatherDevices(devices: readonly DeviceSpec[], privileged: boolean): Promise<DeviceNode[]> {
  const asked = (await Promise.all(devices.map(askedNodes))).flat();
  if (!privileged) return asked;
  const taken = new Set(asked.map((node) => node.path));
  return [...(await nodesBelow('/dev', '/dev', 'rwm')).filter((node) => !taken.has(node.path)), ...asked];
}

async function askedNodes({ hostPath, containerPath, permissions }: DeviceSpec): Promise<DeviceNode[]> {
  const access = permissions === '' ? 'rwm' : permissions;
  if (!ACCESS.test(access)) {
    throw new RuntimeError(
      'invalid',
      'INVALID_ARGUMENT',
      `the device ${hostPath} has the permissions ${JSON.stringify(permissions)}; use some of r, w and m`,
    );
  }
  const target = posix.resolve('/', containerPath === '' ? hostPath : containerPath);
  let facts: Stats;
  try {
    facts = await stat(hostPath);
  } catch (error) {
    throw new RuntimeError('invalid', 'MOUNT_SOURCE', `the device ${hostPath} cannot be used: ${messageOf(error)}; check it on the node`);
  }
  if (facts.isDirectory()) return nodesBelow(hostPath, target, access);
  const node = nodeOf(facts, target, access);
  if (node === undefined) throw new RuntimeError('invalid', 'MOUNT_SOURCE', `${hostPath} is not a device; mount it as a volume`);
  return [node];
}

async function nodesBelow(directory: string, target: string, access: string): Promise<DeviceNode[]> {
  const nodes: DeviceNode[] = [];
  for (const entry of await list(directory)) {
    const [from, to] = [join(directory, entry.name), posix.join(target, entry.name)];
    if (entry.isDirectory() && !OWN_DIRECTORIES.has(from)) nodes.push(...(await nodesBelow(from, to, access)));
    if ((entry.isCharacterDevice() || entry.isBlockDevice()) && !OWN_NODES.has(from)) nodes.push(...(await existing(from, to, access)));
  }
  return nodes;
}

async function list(directory: string): Promise<Dirent[]> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []; // unplugged in the meantime
    throw error;
  }
}

async function existing(from: string, to: string, access: string): Promise<DeviceNode[]> {
  try {
    const node = nodeOf(await stat(from), to, access);
    return node === undefined ? [] : [node];
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []; // unplugged in the meantime
    throw error;
  }
}

function nodeOf(facts: Stats, path: string, access: string): DeviceNode | undefined {
  const type = facts.isCharacterDevice() ? 'c' : facts.isBlockDevice() ? 'b' : undefined;
  if (type === undefined) return undefined;
  const { uid, gid, mode, rdev } = facts;
  return { path, type, ...numbersOf(rdev), fileMode: mode & PERMISSION_BITS, uid, gid, access };
}

/** gnu_dev_major(3), gnu_dev_minor(3), for the 32-bit numbers that Linux uses. */
export function numbersOf(rdev: number): { major: number; minor: number } {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) };
}
