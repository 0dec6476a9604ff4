/** Durable state: node:sqlite tables of JSON documents keyed by id. */
export { Records } from './records.ts';
export { openStore, type Store, type StoreOptions, type Table, type TableName } from './store.ts';
