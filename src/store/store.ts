/**
 * The durable state of the daemon: one SQLite database, WAL, one table per
 * kind of object, each row a document under its id.
 *
 * Memory comes first: the domain keeps every object in memory and writes it
 * through here before it tells anyone. synchronous=NORMAL survives kill -9
 * (the WAL is in the page cache); what must survive power loss is written
 * inside `durable()`, which syncs the WAL before it returns.
 */
import { appendFileSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { diskError, messageOf, RuntimeError } from '../errors/index.ts';
import { decodeRow, encodeRow } from './codec.ts';
import { migrate, type TableName } from './schema.ts';

export type { TableName } from './schema.ts';

/** Where the database is. */
export interface StoreOptions {
  /** File path, or ':memory:'. */
  path: string;
  /** Told of a row that cannot be read; it is left out, and what it stood for is unknown from then on. */
  damaged?: (row: { table: TableName; id: string; problem: string }) => void;
}

/** Documents of one kind. Every method is synchronous and well under 1 ms. */
export interface Table<T> {
  get(id: string): T | undefined;
  /** Inserts or replaces. */
  put(id: string, value: T): void;
  /** True when the row was there. */
  delete(id: string): boolean;
  /** Every row that can be read, in order of id. */
  all(): { id: string; value: T }[];
}

/** The open database. */
export interface Store extends Disposable {
  table<T>(name: TableName): Table<T>;
  /** All writes of `fn` or none. Not nestable. */
  transaction<R>(fn: () => R): R;
  /** As transaction(), and on disk before it returns. */
  durable<R>(fn: () => R): R;
}

/** Opens the database, creating and migrating it as needed. */
export function openStore(options: StoreOptions): Store {
  const db = open(options.path);
  const transaction = <R>(fn: () => R): R => {
    db.exec('BEGIN IMMEDIATE');
    try {
      const result = fn();
      db.exec('COMMIT');
      return result;
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    }
  };
  return {
    table: <T>(name: TableName) => new SqliteTable<T>(db, name, options.damaged ?? (() => undefined)),
    transaction,
    durable(fn) {
      db.exec('PRAGMA synchronous=FULL');
      try {
        return transaction(fn);
      } finally {
        db.exec('PRAGMA synchronous=NORMAL');
      }
    },
    [Symbol.dispose]() {
      if (db.isOpen) db.close();
    },
  };
}

/** SQLite writes the log back and begins it anew at 1000 pages (wal_autocheckpoint), each 4096 bytes with a header of 24 (fileformat2). */
const LOG_BYTES = 1001 * (4096 + 24) + 32;

/**
 * Gives the write-ahead log its full length at once, so that on a full disk
 * what is there can still be removed: that is what frees it. Zeros behind the
 * last valid frame are no frames (fileformat2, WAL format).
 */
function reserveLog(path: string): void {
  try {
    const missing = LOG_BYTES - statSync(`${path}-wal`).size;
    if (missing > 0) appendFileSync(`${path}-wal`, Buffer.alloc(missing));
  } catch (error) {
    if (diskError(error, '') === error) throw error; // a disk that is full already: the next start tries again
  }
}

function open(path: string): DatabaseSync {
  try {
    if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const db = new DatabaseSync(path);
    db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=2000; PRAGMA foreign_keys=ON');
    migrate(db);
    if (path !== ':memory:') reserveLog(path);
    return db;
  } catch (error) {
    if (error instanceof RuntimeError) throw error;
    throw new RuntimeError(
      'internal',
      'STORE_FAILED',
      `opening the state database ${path} failed: ${messageOf(error)}; check its file system`,
      {
        cause: error,
      },
    );
  }
}

class SqliteTable<T> implements Table<T> {
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #all: StatementSync;
  readonly #name: TableName;
  readonly #damaged: NonNullable<StoreOptions['damaged']>;

  constructor(db: DatabaseSync, name: TableName, damaged: NonNullable<StoreOptions['damaged']>) {
    this.#name = name;
    this.#damaged = damaged;
    this.#get = db.prepare(`SELECT body FROM ${name} WHERE id = ?`);
    this.#put = db.prepare(`INSERT INTO ${name} (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body`);
    this.#delete = db.prepare(`DELETE FROM ${name} WHERE id = ?`);
    this.#all = db.prepare(`SELECT id, body FROM ${name} ORDER BY id`);
  }

  get(id: string): T | undefined {
    const row = this.#guard('reading', () => this.#get.get(id));
    return row === undefined ? undefined : this.#decode(id, String(row.body));
  }

  put(id: string, value: T): void {
    this.#guard('writing', () => this.#put.run(id, encodeRow(value)));
  }

  delete(id: string): boolean {
    return Number(this.#guard('deleting', () => this.#delete.run(id)).changes) > 0;
  }

  all(): { id: string; value: T }[] {
    const rows = this.#guard('reading', () => this.#all.all());
    return rows.flatMap((row) => {
      const id = String(row.id);
      const value = this.#decode(id, String(row.body));
      return value === undefined ? [] : [{ id, value }];
    });
  }

  #decode(id: string, body: string): T | undefined {
    try {
      return decodeRow(body) as T;
    } catch (error) {
      this.#damaged({ table: this.#name, id, problem: messageOf(error) });
      return undefined;
    }
  }

  #guard<R>(doing: string, work: () => R): R {
    try {
      return work();
    } catch (error) {
      const full = /full/i.test(messageOf(error));
      throw new RuntimeError(
        full ? 'exhausted' : 'internal',
        full ? 'DISK_FULL' : 'STORE_FAILED',
        `${doing} the table ${this.#name} of the state database failed: ${messageOf(error)}; check the space and health of the state directory’s file system`,
        { cause: error },
      );
    }
  }
}
