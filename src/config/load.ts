/**
 * From files and overrides to one Config: defaults, then config.toml, then
 * conf.d/*.toml in lexical order, then `--set`. A later source replaces a
 * value of an earlier one; lists of tables are merged by their identity
 * column instead, so that a drop-in can add one registry. Nothing that is
 * not understood is let pass: every problem names the file, the key, what was
 * given and what is allowed.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';
import type { RowsField } from './fields.ts';
import { CONFIG_KEYS, CONFIG_SECTIONS, type ConfigKey, onDisk } from './keys.ts';
import { nearest } from './nearest.ts';
import type { Config } from './types.ts';

/** The file read when none is named. */
export const DEFAULT_CONFIG_FILE = '/etc/berth/config.toml';
/** The drop-in directory read when neither a file nor a directory is named. */
export const DEFAULT_CONFIG_DIR = '/etc/berth/conf.d';

/** Where to read from. */
export interface LoadOptions {
  /** Must exist when named; then drop-ins are read only from a named `dir`. */
  file?: string | undefined;
  /** Drop-in directory; must exist when named. */
  dir?: string | undefined;
  /** `key=value`, strongest; a value is TOML, or plain text for a string key. */
  overrides?: readonly string[] | undefined;
}

/** The configuration and where it came from. */
export interface LoadedConfig {
  readonly config: Config;
  /** Files read, weakest first. */
  readonly files: readonly string[];
}

type Row = Record<string, unknown>;
type Values = Map<ConfigKey, unknown>;

/**
 * Reads, merges and checks the configuration.
 * Throws CONFIG_INVALID (kind invalid) for anything it does not understand.
 */
export function loadConfig(options: LoadOptions = {}): LoadedConfig {
  const values: Values = new Map();
  const files: string[] = [];
  for (const { file, required } of sources(options)) {
    const toml = readSource(file, required);
    if (toml === undefined) continue;
    files.push(file);
    applyTable({ values, source: file }, parseToml(file, toml), '');
  }
  for (const override of options.overrides ?? []) applyOverride(values, override);
  const config = assemble(values);
  checkTogether(config);
  return { config, files };
}

function sources(options: LoadOptions): { file: string; required: boolean }[] {
  const found = [{ file: options.file ?? DEFAULT_CONFIG_FILE, required: options.file !== undefined }];
  const dir = options.dir ?? (options.file === undefined ? DEFAULT_CONFIG_DIR : undefined);
  if (dir === undefined) return found;
  let names: string[] = [];
  try {
    names = readdirSync(dir);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || options.dir !== undefined) throw unreadable(dir, error);
  }
  for (const name of names.filter((each) => each.endsWith('.toml')).sort()) found.push({ file: join(dir, name), required: true });
  return found;
}

function readSource(file: string, required: boolean): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && !required) return undefined;
    throw unreadable(file, error);
  }
}

function unreadable(path: string, cause: unknown): RuntimeError {
  return new RuntimeError(
    'invalid',
    'CONFIG_INVALID',
    `${path}: cannot be read: ${messageOf(cause)}; name a file that exists and is readable`,
    {
      cause,
    },
  );
}

function parseToml(source: string, toml: string): Row {
  try {
    return parse(toml, { unsafeKeyBehaviour: 'throw' });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [what] = error.message.split('\n');
    throw problem(source, `line ${error.line}, column ${error.column} is not TOML: ${what}`, error);
  }
}

interface Target {
  readonly values: Values;
  /** File, or `--set KEY`. */
  readonly source: string;
}

function applyTable(target: Target, table: Row, prefix: string): void {
  for (const [name, given] of Object.entries(table)) {
    const full = prefix === '' ? name : `${prefix}.${name}`;
    const key = CONFIG_KEYS.get(full);
    if (key !== undefined) applyKey(target, key, given);
    else if (!CONFIG_SECTIONS.some((section) => section.name === full)) throw unknownKey(target.source, full);
    else if (!isTable(given))
      throw problem(target.source, `${full} = ${shown(given)} is not allowed; ${full} is a section: write [${full}]`);
    else applyTable(target, given, full);
  }
}

function applyKey(target: Target, key: ConfigKey, given: unknown): void {
  const { field } = key;
  if (field.shape === 'value') {
    target.values.set(key, acceptValue(target.source, key.name, { field, given }));
    return;
  }
  if (!Array.isArray(given) || !given.every(isTable)) {
    throw problem(target.source, `${key.name} = ${shown(given)} is not allowed; it is a list of tables: write [[${key.name}]]`);
  }
  const before = (target.values.get(key) ?? []) as Row[];
  target.values.set(
    key,
    given.reduce<Row[]>((rows, row, at) => mergeRow(rows, field, acceptRow(target.source, `${key.name}[${at}]`, { field, row })), before),
  );
}

interface Given<F> {
  readonly field: F;
}

function acceptValue(
  source: string,
  name: string,
  { field, given }: Given<{ allowed: string; accept(value: unknown): unknown }> & { given: unknown },
): unknown {
  const accepted = field.accept(given);
  if (accepted === undefined) throw problem(source, `${name} = ${shown(given)} is not allowed; allowed is ${field.allowed}`);
  return accepted;
}

function acceptRow(source: string, name: string, { field, row }: Given<RowsField<Row>> & { row: Row }): Row {
  const names = new Map(Object.keys(field.columns).map((column) => [onDisk(column), column]));
  for (const given of Object.keys(row)) {
    if (!names.has(given))
      throw problem(source, `${name}.${given} is not a key${suggestion(given, names.keys())}; allowed are ${[...names.keys()].join(', ')}`);
  }
  const accepted: Row = {};
  for (const [disk, column] of names) {
    const columnField = field.columns[column];
    if (columnField === undefined) continue;
    if (row[disk] !== undefined) accepted[column] = acceptValue(source, `${name}.${disk}`, { field: columnField, given: row[disk] });
    else if (columnField.default !== undefined) accepted[column] = columnField.default;
    else throw problem(source, `${name} lacks ${disk}, which every [[${name.replace(/\[\d+\]$/, '')}]] needs: ${columnField.allowed}`);
  }
  return accepted;
}

function mergeRow(rows: readonly Row[], field: RowsField<Row>, row: Row): Row[] {
  const at = rows.findIndex((each) => each[field.identity] === row[field.identity]);
  return at < 0 ? [...rows, row] : rows.with(at, row);
}

function applyOverride(values: Values, override: string): void {
  const equals = override.indexOf('=');
  if (equals < 1) throw problem(`--set ${override}`, 'is not KEY=VALUE; write for example --set log.level=debug');
  const name = override.slice(0, equals).trim();
  const given = override.slice(equals + 1);
  const key = CONFIG_KEYS.get(name);
  if (key === undefined) throw unknownKey('--set', name);
  applyKey({ values, source: '--set' }, key, overrideValue(key, given));
}

/** Text for a string key, TOML for the others; what is not TOML is handed on as text and refused with the key's own words. */
function overrideValue(key: ConfigKey, given: string): unknown {
  if (key.field.shape === 'value' && ['string', 'path', 'program'].includes(key.field.type)) return given;
  try {
    return parse(`value = ${given}`).value;
  } catch {
    return given; // the field refuses it and says what is allowed
  }
}

function assemble(values: Values): Config {
  const config: Row = {};
  for (const key of CONFIG_KEYS.values()) {
    const last = key.place.length - 1;
    let at = config;
    for (const step of key.place.slice(0, last)) {
      at[step] ??= {};
      at = at[step] as Row;
    }
    at[key.place[last] ?? ''] = structuredClone(values.get(key) ?? key.field.default);
  }
  // SCHEMA's type guarantees that every key of Config is there with its type.
  return config as unknown as Config;
}

/** Rules between keys. */
function checkTogether(config: Config): void {
  const { defaultHandler, handlers } = config.runtime;
  const names = handlers.map((handler) => handler.name);
  if (defaultHandler !== '' && !names.includes(defaultHandler)) {
    const allowed = names.map((name) => `"${name}"`).join(', ');
    throw problem(
      'configuration',
      `runtime.default_handler = "${defaultHandler}" is not one of runtime.handlers: ${allowed || 'there is none'}`,
    );
  }
  if (config.root === config.state)
    throw problem('configuration', `root and state are both "${config.root}"; they must be different directories`);
}

function unknownKey(source: string, name: string): RuntimeError {
  const section = name.slice(0, name.lastIndexOf('.') + 1);
  const siblings = [...CONFIG_KEYS.keys()].filter((key) => key.startsWith(section));
  const near = suggestion(name, siblings) || suggestion(name, [...CONFIG_KEYS.keys(), ...CONFIG_SECTIONS.map((each) => each.name)]);
  return problem(source, `${name} is not a key${near}; docs/configuration.md lists them all`);
}

function suggestion(word: string, candidates: Iterable<string>): string {
  const near = nearest(word, candidates);
  return near === undefined || near === '' ? '' : ` (did you mean ${near}?)`;
}

function problem(source: string, message: string, cause?: unknown): RuntimeError {
  return new RuntimeError('invalid', 'CONFIG_INVALID', `${source}: ${message}`, cause === undefined ? {} : { cause });
}

function isTable(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** A value as the user would have written it, cut to a readable length. */
function shown(value: unknown): string {
  const words = JSON.stringify(value) ?? String(value);
  return words.length > 80 ? `${words.slice(0, 77)}...` : words;
}
