/** Configuration: one schema table, and the loader that reads files against it. */
export { CONFIG_KEYS, CONFIG_SECTIONS, type ConfigKey, onDisk } from './keys.ts';
export { DEFAULT_CONFIG_DIR, DEFAULT_CONFIG_FILE, type LoadOptions, loadConfig } from './load.ts';
export { nearest } from './nearest.ts';
export * from './types.ts';
