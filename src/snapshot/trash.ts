/**
 * Deleting without waiting: a tree is renamed into the trash at once and
 * deleted on another thread when nothing is being pulled. On ext4, creating
 * files soon after a mass deletion costs up to twelve times the system time,
 * so the two never run side by side. What a crash leaves in the trash is
 * deleted after the next start.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../errors/index.ts';
import type { Logger } from '../log/index.ts';
import { runTask } from './workers.ts';

/** Quiet time before deleting begins: a pull often follows a removal. */
const QUIET_MS = 2_000;

export class Trash {
  readonly #dir: string;
  readonly #logger: Logger;
  #busy = 0;
  #timer: NodeJS.Timeout | undefined;
  #emptying: Promise<void> | undefined;
  #closed = false;

  /** `dir` must be on the file system of what is discarded. */
  constructor(dir: string, logger: Logger) {
    this.#dir = dir;
    this.#logger = logger;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#schedule();
  }

  /** Takes `path` away at once; absent is success. */
  discard(path: string): void {
    try {
      renameSync(path, join(this.#dir, randomUUID()));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return;
      throw error;
    }
    this.#schedule();
  }

  /** Nothing is deleted until the result is disposed of. */
  holdOff(): Disposable {
    this.#busy += 1;
    clearTimeout(this.#timer);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#busy -= 1;
        this.#schedule();
      },
    };
  }

  /** Deletes everything now, whatever is under way: for a full disk. Never rejects. */
  async empty(): Promise<void> {
    this.#emptying ??= this.#deleteAll(() => false).finally(() => {
      this.#emptying = undefined;
    });
    await this.#emptying;
  }

  /** Stops deleting, after the tree at hand. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#emptying;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#busy > 0 || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#emptying ??= this.#deleteAll(() => this.#busy > 0).finally(() => {
        this.#emptying = undefined;
      });
    }, QUIET_MS).unref();
  }

  async #deleteAll(interrupted: () => boolean): Promise<void> {
    for (const name of this.#entries()) {
      if (this.#closed || interrupted()) return;
      try {
        await runTask({ kind: 'remove', path: join(this.#dir, name) });
      } catch (error) {
        // One tree that cannot be deleted must not keep the others, and their space.
        this.#warn(error);
      }
    }
  }

  #entries(): string[] {
    try {
      return readdirSync(this.#dir);
    } catch (error) {
      this.#warn(error);
      return [];
    }
  }

  #warn(error: unknown): void {
    const reason = messageOf(error);
    this.#logger.warn({ dir: this.#dir, reason }, 'discarded files cannot be deleted; tried again after the next removal or pull');
  }
}
