/**
 * Opens the host's cgroups: finds the layout, settles the driver and puts the
 * parts together behind the Cgroups contract. Holds no state but descriptors.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { sleep } from '../async/index.ts';
import { errnoOf, RuntimeError } from '../errors/index.ts';
import { readCpu } from './cpu.ts';
import { CgroupFiles, type ReadFile } from './files.ts';
import { hugePageSizes, readHugetlb } from './hugetlb.ts';
import { readIo } from './io.ts';
import { killTree, pidsOf, roundMs } from './kill.ts';
import { detectLayout } from './layout.ts';
import { readLegacy } from './legacy.ts';
import { readMemory } from './memory.ts';
import { checkParent, checkPath, leafPath, ociPath } from './paths.ts';
import { readPids } from './pids.ts';
import { exists, hierarchies, isOurs, joinTree, makeTree, removeParents, removeTree } from './tree.ts';
import type { CgroupDriver, CgroupLayout, CgroupStats, Cgroups } from './types.ts';

const NS_PER_MS = 1_000_000n;
/** A cgroup stays busy for moments after its last process died; this is about two seconds. */
const REMOVE_ROUNDS = 36;

/** What to open; all but the driver is for tests. */
export interface CgroupOptions {
  driver: 'auto' | CgroupDriver;
  /** Where the hierarchies are mounted; default /sys/fs/cgroup. */
  root?: string;
  /** Text of /proc/self/mountinfo. */
  mountinfo?: string;
  /** Directory that exists exactly when systemd is PID 1 (sd_booted(3)). */
  systemdDir?: string;
  /** Directory whose entries are the host's huge page sizes. */
  hugePagesDir?: string;
}

/** systemd only where it is PID 1 of a v2 host: elsewhere kubelet, too, is told to use cgroupfs. */
function settleDriver(wanted: CgroupOptions['driver'], layout: CgroupLayout, systemdDir: string): CgroupDriver {
  if (wanted !== 'auto') return wanted;
  const booted = statSync(systemdDir, { throwIfNoEntry: false })?.isDirectory() === true;
  return booted && layout.mode === 'v2' ? 'systemd' : 'cgroupfs';
}

function listDir(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []; // a kernel without huge pages
    throw error;
  }
}

class HostCgroups implements Cgroups {
  readonly layout: CgroupLayout;
  readonly driver: CgroupDriver;
  readonly #hugePages: readonly string[];
  readonly #files = new CgroupFiles();

  constructor(layout: CgroupLayout, driver: CgroupDriver, hugePages: readonly string[]) {
    this.layout = layout;
    this.driver = driver;
    this.#hugePages = hugePages;
  }

  checkParent(parent: string): void {
    checkParent(this.driver, parent);
  }

  ociPath(parent: string, id: string): string {
    return ociPath(this.driver, parent, id);
  }

  leafPath(parent: string, id: string): string {
    return leafPath(this.driver, parent, id);
  }

  create(path: string): void {
    checkPath(path);
    makeTree(this.layout, path);
  }

  add(path: string, pid: number): void {
    checkPath(path);
    joinTree(this.layout, path, pid);
  }

  async remove(path: string): Promise<void> {
    checkPath(path);
    this.forget(path);
    if (exists(this.layout, path)) {
      this.#checkOurs(path, 'removed');
      await this.#removeLeaf(path);
    }
    removeParents(this.layout, path);
  }

  async kill(path: string): Promise<void> {
    checkPath(path);
    if (!exists(this.layout, path)) return;
    this.#checkOurs(path, 'killed');
    await killTree(this.layout, path);
  }

  pids(path: string): number[] {
    return pidsOf(this.layout, path);
  }

  read(path: string): CgroupStats | undefined {
    const stats = this.layout.mode === 'v2' ? this.#readUnified(path) : this.#readLegacy(path);
    if (stats === undefined) {
      this.forget(path);
      return undefined;
    }
    return { timestampNs: BigInt(Date.now()) * NS_PER_MS, ...stats };
  }

  forget(path: string): void {
    for (const mount of hierarchies(this.layout)) this.#files.forget(mount + path);
  }

  #checkOurs(path: string, what: string): void {
    if (isOurs(this.layout, path)) return;
    throw new RuntimeError('invalid', 'CGROUP_FAILED', `cgroup ${path} was not made by berth and is not ${what}; leave it to what made it`);
  }

  async #removeLeaf(path: string): Promise<void> {
    for (let round = 0; round < REMOVE_ROUNDS; round += 1) {
      await killTree(this.layout, path);
      if (removeTree(this.layout, path)) return;
      await sleep(roundMs(round));
    }
    throw new RuntimeError(
      'internal',
      'CGROUP_FAILED',
      'a cgroup without processes stays busy and cannot be removed; look for who holds it',
      {
        detail: { path },
      },
    );
  }

  #readUnified(path: string): Omit<CgroupStats, 'timestampNs'> | undefined {
    const dir = `${this.layout.unified ?? ''}${path}`;
    const read: ReadFile = (name) => this.#files.read(dir, name);
    const cpu = readCpu(read);
    if (cpu === undefined) return undefined;
    return { cpu, memory: readMemory(read), pids: readPids(read), io: readIo(read), hugetlb: readHugetlb(read, this.#hugePages) };
  }

  #readLegacy(path: string): Omit<CgroupStats, 'timestampNs'> | undefined {
    const of = (mount: string | undefined): ReadFile => {
      const dir = `${mount ?? ''}${path}`;
      if (mount === undefined) return () => undefined;
      return (name) => (name === 'cgroup.procs' ? this.#files.readOnce(dir, name) : this.#files.read(dir, name));
    };
    const { legacy, unified } = this.layout;
    return readLegacy((controller) => of(legacy[controller]), unified === undefined ? undefined : of(unified), this.#hugePages);
  }
}

/**
 * The host's cgroups.
 * @throws CGROUP_FAILED (precondition) when none are mounted at the root.
 */
export function openCgroups(options: CgroupOptions): Cgroups {
  const root = options.root ?? '/sys/fs/cgroup';
  const mountinfo = options.mountinfo ?? readFileSync('/proc/self/mountinfo', 'utf8');
  const layout = detectLayout(mountinfo, root, (unified) => readFileSync(`${unified}/cgroup.controllers`, 'latin1'));
  const driver = settleDriver(options.driver, layout, options.systemdDir ?? '/run/systemd/system');
  return new HostCgroups(layout, driver, hugePageSizes(listDir(options.hugePagesDir ?? '/sys/kernel/mm/hugepages')));
}
