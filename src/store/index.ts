/** Durable state: node:sqlite tables of JSON documents keyed by id. */
export { sameDocument } from './codec.ts';
export { Records } from './records.ts';
export { openStore, type Store, type StoreOptions, type Table } from './store.ts';
