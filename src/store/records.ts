/**
 * A table held in memory and written through. Reads never touch the disk.
 * A record is immutable: a change makes a new object, so an object's identity
 * is its version and caches may hang on it.
 */
import { type Reason, RuntimeError } from '../errors/index.ts';
import type { Table } from './store.ts';

/** How a missing or ambiguous id is reported. */
export interface RecordsNaming {
  /** What it is, for messages: 'pod sandbox'. */
  noun: string;
  notFound: Reason;
}

export class Records<R extends { readonly id: string }> {
  readonly #table: Table<R>;
  readonly #naming: RecordsNaming;
  readonly #byId = new Map<string, Readonly<R>>();
  /** Observed, and not on disk yet. */
  readonly #behind = new Set<string>();

  constructor(table: Table<R>, naming: RecordsNaming) {
    this.#table = table;
    this.#naming = naming;
    for (const { value } of table.all()) this.#byId.set(value.id, Object.freeze(value));
  }

  /** Inserts or replaces, on disk first: memory never says what the disk does not. */
  put(record: R): Readonly<R> {
    this.#table.put(record.id, record);
    const frozen = Object.freeze(record);
    this.#byId.set(record.id, frozen);
    this.#behind.delete(record.id);
    this.#catchUp();
    return frozen;
  }

  /** Replaces fields of a record that is there; undefined when it is gone. */
  update(id: string, change: Partial<R>): Readonly<R> | undefined {
    const before = this.#byId.get(id);
    return before === undefined ? undefined : this.put({ ...before, ...change });
  }

  /**
   * As update(), for what has happened: it is so whether or not the disk takes
   * it. What could not be written is written with a later change; a start in
   * between finds the same out again.
   */
  observe(id: string, change: Partial<R>): Readonly<R> | undefined {
    const before = this.#byId.get(id);
    if (before === undefined) return undefined;
    const frozen = Object.freeze({ ...before, ...change });
    this.#byId.set(id, frozen);
    this.#behind.add(id);
    this.#catchUp();
    return frozen;
  }

  /** Idempotent. */
  delete(id: string): void {
    this.#table.delete(id);
    this.#byId.delete(id);
    this.#behind.delete(id);
    this.#catchUp();
  }

  #catchUp(): void {
    for (const id of this.#behind) {
      const record = this.#byId.get(id);
      try {
        if (record !== undefined) this.#table.put(id, record);
      } catch {
        return; // the disk is full or broken still: whoever wants something new is told so
      }
      this.#behind.delete(id);
    }
  }

  /** By exact id. */
  get(id: string): Readonly<R> | undefined {
    return this.#byId.get(id);
  }

  /** By id or unique prefix, among records that `visible` accepts; undefined when there is none. */
  find(idOrPrefix: string, visible: (record: Readonly<R>) => boolean): Readonly<R> | undefined {
    const exact = this.#byId.get(idOrPrefix);
    if (exact !== undefined) return visible(exact) ? exact : undefined;
    if (idOrPrefix === '') return undefined;
    let found: Readonly<R> | undefined;
    for (const record of this.#byId.values()) {
      if (!record.id.startsWith(idOrPrefix) || !visible(record)) continue;
      if (found !== undefined) {
        throw new RuntimeError(
          'invalid',
          'AMBIGUOUS_ID',
          `${JSON.stringify(idOrPrefix)} matches more than one ${this.#naming.noun}; give more characters of the id`,
        );
      }
      found = record;
    }
    return found;
  }

  /** As find(), but a missing one throws the not-found reason. */
  resolve(idOrPrefix: string, visible: (record: Readonly<R>) => boolean): Readonly<R> {
    const record = this.find(idOrPrefix, visible);
    if (record !== undefined) return record;
    throw new RuntimeError(
      'not-found',
      this.#naming.notFound,
      `no ${this.#naming.noun} has the id ${JSON.stringify(idOrPrefix)}; it was removed or never existed`,
    );
  }

  /** Every record, oldest insertion first. */
  values(): Iterable<Readonly<R>> {
    return this.#byId.values();
  }
}
