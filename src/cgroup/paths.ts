/**
 * Where a container's cgroup is, for both drivers. Pure string work.
 *   cgroupfs: /kubepods/burstable/podUID        -> .../podUID/berth-ID
 *   systemd:  kubepods-burstable-podUID.slice   -> /kubepods.slice/kubepods-burstable.slice/
 *                                                  kubepods-burstable-podUID.slice/berth-ID.scope
 * The prefix makes a leaf known as berth's by its name alone, whoever made the directory.
 */
import { RuntimeError } from '../errors/index.ts';
import type { CgroupDriver } from './types.ts';

const PREFIX = 'berth';
const LEAF = /^berth-[0-9a-f]{64}(\.scope)?$/;
/** NAME_MAX and PATH_MAX of Linux. */
const NAME_LIMIT_BYTES = 255;
const PATH_LIMIT_BYTES = 4096;

/** True when a directory of this name was made for a sandbox or container of berth. */
export const isLeafName = (name: string): boolean => LEAF.test(name);

const invalid = (message: string): RuntimeError => new RuntimeError('invalid', 'CGROUP_FAILED', message);

/** Refuses what is not a plain absolute path below the hierarchy's root: no `..`, no empty parts. */
export function checkPath(path: string): void {
  const parts = path.split('/').slice(1);
  const plain = path.startsWith('/') && parts.every((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('\0'));
  if (!plain || Buffer.byteLength(path) > PATH_LIMIT_BYTES || parts.some((part) => Buffer.byteLength(part) > NAME_LIMIT_BYTES)) {
    throw invalid(`cgroup path ${JSON.stringify(path)} is not a plain absolute path; write it as /A/B without empty parts, '.' or '..'`);
  }
}

/**
 * Full path of a slice: a-b.slice is /a.slice/a-b.slice (systemd.slice(5)).
 * @throws CGROUP_FAILED (invalid) when the name cannot be a slice.
 */
export function expandSlice(name: string): string {
  const stem = name.endsWith('.slice') ? name.slice(0, -'.slice'.length) : '';
  if (stem === '-') return '/';
  if (stem === '' || stem.includes('/') || stem.split('-').includes('')) {
    throw invalid(`cgroup parent ${JSON.stringify(name)} is not a systemd slice; write it as A.slice or A-B.slice`);
  }
  const parts = stem.split('-');
  return parts.map((_, depth) => `/${parts.slice(0, depth + 1).join('-')}.slice`).join('');
}

/** The slice a parent names: its last part, since kubelet sends the whole path. */
const sliceOf = (parent: string): string => parent.slice(parent.lastIndexOf('/') + 1);

/**
 * Checks a pod's parent against the driver.
 * @throws CGROUP_FAILED (invalid) naming what the driver wants.
 */
export function checkParent(driver: CgroupDriver, parent: string): void {
  if (driver === 'systemd') {
    if (parent.includes('/')) checkPath(parent.startsWith('/') ? parent : `/${parent}`);
    expandSlice(sliceOf(parent));
    return;
  }
  if (parent.endsWith('.slice')) {
    throw invalid(
      `cgroup parent ${parent} is a systemd slice, but the cgroup driver is cgroupfs; set cgroup.driver of berth to that of kubelet`,
    );
  }
  if (parent !== '/') checkPath(parent);
}

/** Directory of a pod's parent, '' for the hierarchy's root. */
function parentDir(driver: CgroupDriver, parent: string): string {
  const path = driver === 'systemd' ? expandSlice(sliceOf(parent)) : parent;
  return path === '/' ? '' : path;
}

/** cgroupfs path of a leaf. */
export function leafPath(driver: CgroupDriver, parent: string, id: string): string {
  return `${parentDir(driver, parent)}/${PREFIX}-${id}${driver === 'systemd' ? '.scope' : ''}`;
}

/** linux.cgroupsPath of the runtime-spec: a path, or SLICE:PREFIX:NAME for the systemd driver. */
export function ociPath(driver: CgroupDriver, parent: string, id: string): string {
  return driver === 'systemd' ? `${sliceOf(parent)}:${PREFIX}:${id}` : leafPath(driver, parent, id);
}
