/**
 * Which CNI network is configured right now: the lexically first usable kind
 * of file in the directory, re-read when the directory changes and, since
 * inotify misses what it cannot see (a directory that comes later, bind
 * mounts, network file systems), every few seconds. A broken first file is
 * told, not skipped: the node would quietly be on another network.
 */
import { type FSWatcher, readdirSync, readFileSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, messageOf, RuntimeError } from '../../errors/index.ts';
import { isLoopbackOnly, type NetworkConfig, parseNetworkConfig } from './config.ts';

/** Outcome of the last reading. */
export type CniState =
  | { kind: 'none' }
  | { kind: 'configured'; config: NetworkConfig }
  | { kind: 'broken'; source: string; error: RuntimeError };

const EXTENSIONS = /\.(conf|conflist|json)$/;
const POLL_INTERVAL_MS = 5_000;
/** Editors and installers write in several steps: one reading after the last. */
const SETTLE_MS = 50;
/** Configurations are a few KiB; a larger file is not one. */
const FILE_MAX_BYTES = 1024 * 1024;

/** The configured CNI network, followed until disposed. */
export class CniSource implements Disposable {
  readonly #dir: string;
  readonly #onChange: (state: CniState) => void;
  readonly #onPoll: () => void;
  readonly #poll: NodeJS.Timeout;
  #watcher: FSWatcher | undefined;
  #settle: NodeJS.Timeout | undefined;
  #signature: string | undefined;
  #state: CniState = { kind: 'none' };

  /** Reads once before it returns. `onChange` is called for every later change; `onPoll` with every periodic look. */
  constructor(dir: string, onChange: (state: CniState) => void, onPoll: () => void) {
    this.#dir = dir;
    this.#onChange = onChange;
    this.#onPoll = onPoll;
    this.#reread(false);
    this.#watch();
    this.#poll = setInterval(() => {
      this.#watch();
      this.#reread(true);
      this.#onPoll();
    }, POLL_INTERVAL_MS);
    this.#poll.unref();
  }

  /** From memory. */
  get state(): CniState {
    return this.#state;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#poll);
    clearTimeout(this.#settle);
    this.#watcher?.close();
  }

  #watch(): void {
    if (this.#watcher !== undefined) return;
    try {
      const watcher = watch(this.#dir, { persistent: false }, (event) => {
        // A directory that was removed and made again needs a new watch.
        if (event === 'rename') this.#unwatch();
        clearTimeout(this.#settle);
        this.#settle = setTimeout(() => {
          this.#watch();
          this.#reread(true);
        }, SETTLE_MS);
        this.#settle.unref();
      });
      watcher.on('error', () => this.#unwatch()); // the poll goes on and tries again
      this.#watcher = watcher;
    } catch {
      // The directory is not there, or inotify has no more watches: the poll serves alone.
    }
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #reread(tell: boolean): void {
    const files = this.#list();
    if (files.signature === this.#signature) return;
    this.#signature = files.signature;
    this.#state =
      files.error === undefined ? firstNetwork(this.#dir, files.names) : { kind: 'broken', source: this.#dir, error: files.error };
    if (tell) this.#onChange(this.#state);
  }

  /** The configuration files in lexical order and a signature that changes with any of them. */
  #list(): { names: string[]; signature: string; error?: RuntimeError } {
    try {
      const names = readdirSync(this.#dir)
        .filter((name) => EXTENSIONS.test(name))
        .sort();
      const marks = names.map((name) => {
        const stat = statSync(join(this.#dir, name), { throwIfNoEntry: false });
        return `${name} ${stat?.mtimeMs} ${stat?.size} ${stat?.ino}`;
      });
      return { names, signature: marks.join('\n') };
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return { names: [], signature: '' };
      const words = `reading the CNI configuration directory ${this.#dir} failed: ${messageOf(error)}`;
      return { names: [], signature: words, error: new RuntimeError('precondition', 'CNI_CONFIG', words, { cause: error }) };
    }
  }
}

function firstNetwork(dir: string, names: readonly string[]): CniState {
  for (const name of names) {
    const source = join(dir, name);
    try {
      const config = readNetwork(source);
      if (config !== undefined && !isLoopbackOnly(config)) return { kind: 'configured', config };
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      return { kind: 'broken', source, error };
    }
  }
  return { kind: 'none' };
}

/** The network of a file; undefined when the file has gone meanwhile. */
function readNetwork(source: string): NetworkConfig | undefined {
  try {
    if (statSync(source).size > FILE_MAX_BYTES) {
      throw new RuntimeError(
        'precondition',
        'CNI_CONFIG',
        `the CNI configuration ${source} is larger than 1 MiB; correct or remove the file`,
      );
    }
    return parseNetworkConfig(readFileSync(source, 'utf8'), source);
  } catch (error) {
    if (error instanceof RuntimeError) throw error;
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw new RuntimeError('precondition', 'CNI_CONFIG', `reading the CNI configuration ${source} failed: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
