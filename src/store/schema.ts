/**
 * The schema and its history. A migration is appended, never edited; the
 * database says in user_version how many it has seen. A database from a newer
 * berth is refused rather than guessed at.
 */
import type { DatabaseSync } from 'node:sqlite';
import { RuntimeError } from '../errors/index.ts';

/** The tables by the schema that brought them; each is (id TEXT PRIMARY KEY, body TEXT). */
const TABLES_1 = [
  'sandboxes',
  'containers',
  'images',
  'layers',
  'attachments', // network attachments, by sandbox id and interface
  'addresses', // leased addresses of the embedded network
  'settings', // single values, e.g. the pod CIDR
] as const;

const TABLES_2 = [
  'imports', // archives of the import directory that were loaded, by path
] as const;

/** Name of a table. */
export type TableName = (typeof TABLES_1 | typeof TABLES_2)[number];

const document = (name: string): string => `CREATE TABLE ${name} (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID`;

const MIGRATIONS: readonly (readonly string[])[] = [TABLES_1.map(document), TABLES_2.map(document)];

/** Brings `db` to the newest schema. */
export function migrate(db: DatabaseSync): void {
  const version = Number(db.prepare('PRAGMA user_version').get()?.user_version ?? 0);
  if (version > MIGRATIONS.length) {
    throw new RuntimeError(
      'internal',
      'STORE_FAILED',
      `the state database has schema ${version}, this berth knows up to ${MIGRATIONS.length}; start the newer berth again or move the state directory away`,
    );
  }
  for (const [index, statements] of MIGRATIONS.entries()) {
    if (index < version) continue;
    db.exec('BEGIN IMMEDIATE');
    for (const statement of statements) db.exec(statement);
    db.exec(`PRAGMA user_version=${index + 1}`);
    db.exec('COMMIT');
  }
}
