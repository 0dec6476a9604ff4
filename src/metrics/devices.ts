/**
 * Block devices and file systems by the names people know: MAJOR:MINOR to
 * /dev/NAME through sysfs, a mount point to its device and capacity. Cached,
 * since a scrape asks for the same few again and again.
 */
import { readFileSync } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import { messageOf } from '../errors/index.ts';
import type { Logger } from '../log/index.ts';

/** Devices a host has names for here; beyond it a number stays a number. */
const DEVICE_LIMIT = 1024;
/** Capacity changes rarely, free inodes slowly. */
const VOLUME_FRESH_MS = 10_000;

/** A file system that holds writable layers. */
export interface Volume {
  /** /dev/NAME, or MAJOR:MINOR where it has none (overlay, tmpfs). */
  device: string;
  limitBytes: number;
  inodes: number;
  inodesFree: number;
}

export class Devices {
  readonly #log: Logger;
  readonly #sysfs: string;
  readonly #names = new Map<string, string>();
  readonly #volumes = new Map<string, { atMs: number; volume: Volume }>();

  constructor(log: Logger, sysfs = '/sys/dev/block') {
    this.#log = log;
    this.#sysfs = sysfs;
  }

  /** /dev/NAME of MAJOR:MINOR, or the number itself. */
  name(device: string): string {
    const known = this.#names.get(device);
    if (known !== undefined) return known;
    const name = this.#lookUp(device);
    if (this.#names.size < DEVICE_LIMIT) this.#names.set(device, name);
    return name;
  }

  /** The file systems of these mount points; one that does not answer is left out. */
  async volumes(mountpoints: Iterable<string>): Promise<Map<string, Volume>> {
    const volumes = new Map<string, Volume>();
    for (const mountpoint of new Set(mountpoints)) {
      const volume = await this.#volume(mountpoint);
      if (volume !== undefined) volumes.set(mountpoint, volume);
    }
    return volumes;
  }

  async #volume(mountpoint: string): Promise<Volume | undefined> {
    const cached = this.#volumes.get(mountpoint);
    if (cached !== undefined && performance.now() - cached.atMs < VOLUME_FRESH_MS) return cached.volume;
    try {
      const [{ dev }, fs] = await Promise.all([stat(mountpoint), statfs(mountpoint)]);
      const volume = {
        device: this.name(`${major(dev)}:${minor(dev)}`),
        limitBytes: fs.blocks * fs.bsize,
        inodes: fs.files,
        inodesFree: fs.ffree,
      };
      this.#volumes.set(mountpoint, { atMs: performance.now(), volume });
      return volume;
    } catch (error) {
      this.#log.debug({ mountpoint, err: messageOf(error) }, 'file system not measured');
      return undefined;
    }
  }

  #lookUp(device: string): string {
    try {
      const name = /^DEVNAME=(.+)$/m.exec(readFileSync(`${this.#sysfs}/${device}/uevent`, 'utf8'))?.[1];
      return name === undefined ? device : `/dev/${name}`;
    } catch {
      return device; // not a block device (tmpfs, overlay), or gone: its number is still right
    }
  }
}

/** Major number of st_dev, as glibc's gnu_dev_major packs it (below 2^32). */
const major = (dev: number): number => (dev >>> 8) & 0xfff;
const minor = (dev: number): number => (dev & 0xff) | ((dev >>> 12) & 0xfff00);
