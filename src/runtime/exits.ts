/**
 * How containers end, each end told once.
 *
 *   the first process ends ──> conmon drains the output, writes exitDir/ID ──> told with the exact code
 *                          └─> its pidfd fires: conmon has a grace period for the file
 *   conmon is killed ────────> its pidfd fires: the first process alone is watched; its end has a code
 *                              only when it became our child (conmon was ours and we are a subreaper)
 *
 * The exit file is the truth about code and time; the pidfds see to it that an
 * end is never missed when the file cannot come. A file that was written while
 * the daemon was away is found when the container is watched again.
 */
import { existsSync, type FSWatcher, mkdirSync, readFileSync, rmSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../errors/index.ts';
import type { Logger } from '../log/index.ts';
import { awaitExit, type ExitStatus, type ExitWaiter, isAlive, nowNs, type ProcessRef, releaseLoop } from '../sys/index.ts';
import { exitCodeOf } from './status.ts';
import type { ContainerExited } from './types.ts';

/** How long a living monitor may take from the process's end to the exit file: it drains the output to a disk that may be slow. */
const EXIT_FILE_GRACE_MS = 10_000;

/** A container whose end is awaited. */
export interface Watched {
  id: string;
  bundleDir: string;
  init: ProcessRef;
  monitor: ProcessRef;
}

interface Entry extends Watched {
  startedAtNs: bigint;
  grace: NodeJS.Timeout | undefined;
  /** Who knows the status of a process whose monitor is gone: we may have become its parent. */
  status: 'monitor' | 'awaited' | 'lost';
  cancels: (() => void)[];
}

/** Where exits are found and who hears of them. */
export interface ExitsOptions {
  /** conmon's --exit-dir. Made when missing. */
  exitDir: string;
  waiter: ExitWaiter;
  logger: Logger;
  onExit: (exited: ContainerExited) => void;
}

export class Exits implements Disposable {
  readonly #options: ExitsOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #watcher: FSWatcher;

  constructor(options: ExitsOptions) {
    this.#options = options;
    mkdirSync(options.exitDir, { recursive: true, mode: 0o700 });
    // conmon writes a temporary file and renames it to the id.
    this.#watcher = watch(options.exitDir, { persistent: false }, (_event, name) => {
      const entry = name === null ? undefined : this.#entries.get(name);
      if (entry !== undefined) this.#check(entry);
    });
    // The pidfds still tell of every end, a little later.
    this.#watcher.on('error', (error) => options.logger.warn({ err: error }, 'watching the exit directory failed'));
  }

  /** Begins to wait for the container's end; one that is past is told at once, in a later turn of the loop. */
  watch(watched: Watched): void {
    this.forget(watched.id);
    const entry: Entry = { ...watched, startedAtNs: 0n, grace: undefined, status: 'monitor', cancels: [] };
    this.#entries.set(watched.id, entry);
    const { waiter } = this.#options;
    const check = (): void => this.#check(entry);
    entry.cancels.push(waiter.watch(watched.init, check), waiter.watch(watched.monitor, check));
    setImmediate(check);
  }

  /** Notes that the process cannot have run before `atNs`: the coarse clock of file times may say so. */
  started(id: string, atNs: bigint): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) entry.startedAtNs = atNs;
  }

  /** The container as it is watched; undefined when it is not, or has been told. */
  find(id: string): Watched | undefined {
    return this.#entries.get(id);
  }

  /** Stops waiting without a word. Idempotent. */
  forget(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    clearTimeout(entry.grace);
    for (const cancel of entry.cancels) cancel();
  }

  /** Removes what the monitor left for the daemon. Idempotent. */
  clean(id: string): void {
    rmSync(join(this.#options.exitDir, id), { force: true });
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
    for (const id of [...this.#entries.keys()]) this.forget(id);
  }

  #check(entry: Entry): void {
    if (this.#entries.get(entry.id) !== entry) return; // told or forgotten in the meantime
    // Liveness first: a monitor that ends after this has written its file before, and is looked at again.
    const monitorAlive = isAlive(entry.monitor);
    const initAlive = isAlive(entry.init);
    const found = this.#readExit(entry.id);
    if (found !== undefined) {
      this.#tell(entry, found.exitCode, found.atNs);
      return;
    }
    if (!monitorAlive && entry.status === 'monitor') this.#inherit(entry);
    if (initAlive || entry.status === 'awaited') return;
    if (!monitorAlive) this.#tell(entry, undefined, nowNs());
    else this.#allowGrace(entry);
  }

  #allowGrace(entry: Entry): void {
    entry.grace ??= setTimeout(() => {
      this.#options.logger.warn({ container: entry.id }, 'the monitor lives but wrote no exit file in time');
      this.#tell(entry, undefined, nowNs());
    }, EXIT_FILE_GRACE_MS).unref();
  }

  /** The kernel gives the orphan of a conmon of ours to us, as a subreaper; it is no child of ours otherwise, and the status is lost. */
  #inherit(entry: Entry): void {
    entry.status = 'awaited';
    const settle = (status: ExitStatus): void => {
      if (this.#entries.get(entry.id) !== entry) return;
      const exitCode = exitCodeOf(status);
      entry.status = 'lost';
      if (exitCode === undefined) this.#check(entry);
      else this.#tell(entry, exitCode, nowNs());
    };
    void awaitExit(entry.init.pid).then(settle);
    releaseLoop(entry.init.pid);
  }

  #readExit(id: string): { exitCode: number | undefined; atNs: bigint } | undefined {
    const path = join(this.#options.exitDir, id);
    try {
      const exitCode = Number.parseInt(readFileSync(path, 'utf8'), 10);
      if (Number.isNaN(exitCode)) return undefined; // a full disk: the pidfds tell instead
      // conmon writes -1 when it could not learn the code itself.
      return { exitCode: exitCode < 0 ? undefined : exitCode, atNs: statSync(path, { bigint: true }).mtimeNs };
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') {
        this.#options.logger.warn({ container: id, error: messageOf(error) }, 'an exit file cannot be read');
      }
      return undefined;
    }
  }

  #tell(entry: Entry, exitCode: number | undefined, atNs: bigint): void {
    this.forget(entry.id);
    const finishedAtNs = atNs > entry.startedAtNs ? atNs : entry.startedAtNs;
    // conmon(8): a file of this name appears in its working directory at an out-of-memory kill.
    const oom = existsSync(join(entry.bundleDir, 'oom'));
    this.#options.onExit({ id: entry.id, exitCode, finishedAtNs, oom });
  }
}
