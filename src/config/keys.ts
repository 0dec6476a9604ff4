/**
 * SCHEMA flattened: one entry a key, with its dotted name as written on disk
 * and its place in the Config object.
 */
import type { RowsField, ValueField } from './fields.ts';
import { SCHEMA } from './schema.ts';

/** Any field, its value type forgotten: the loader checks values by `accept` alone. */
export type AnyField = ValueField<unknown> | RowsField<Record<string, unknown>>;

/** One configuration key. */
export interface ConfigKey {
  /** As on disk: `network.pod_cidr`. */
  readonly name: string;
  /** Place in Config: ['network', 'podCidr']. */
  readonly place: readonly string[];
  readonly field: AnyField;
}

/** One `[section]` of the file. */
export interface ConfigSection {
  /** '' for the keys before the first section. */
  readonly name: string;
  readonly summary: string;
  readonly keys: readonly ConfigKey[];
}

/** `podCidr` as it is written on disk: `pod_cidr`. */
export function onDisk(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

interface UntypedSection {
  section: string;
  keys: Record<string, AnyField>;
}

function sections(): ConfigSection[] {
  // The table is typed key by key against Config; only this walk forgets the types.
  const table = SCHEMA as unknown as Record<string, AnyField | UntypedSection>;
  const top: ConfigKey[] = [];
  const found: ConfigSection[] = [];
  for (const [name, entry] of Object.entries(table)) {
    if (!('section' in entry)) {
      top.push({ name: onDisk(name), place: [name], field: entry });
      continue;
    }
    const keys = Object.entries(entry.keys).map(([key, field]) => ({
      name: `${onDisk(name)}.${onDisk(key)}`,
      place: [name, key],
      field,
    }));
    found.push({ name: onDisk(name), summary: entry.section, keys });
  }
  return [{ name: '', summary: 'Places.', keys: top }, ...found];
}

/** Every section in the order of the table. */
export const CONFIG_SECTIONS: readonly ConfigSection[] = sections();

/** Every key by its name on disk. */
export const CONFIG_KEYS: ReadonlyMap<string, ConfigKey> = new Map(
  CONFIG_SECTIONS.flatMap((section) => section.keys.map((key) => [key.name, key] as const)),
);
