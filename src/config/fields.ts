/**
 * The kinds of value a configuration key can have. A field knows its default,
 * what it accepts and how to say so in words; it is pure and never throws:
 * `accept` answers undefined for what is not allowed, and the loader makes
 * the error, because only the loader knows the file and the key.
 */
import { isAbsolute } from 'node:path';

/** A key with one value. */
export interface ValueField<T> {
  readonly shape: 'value';
  /** Type in the docs' words. */
  readonly type: string;
  /** What is allowed, to follow "allowed is". */
  readonly allowed: string;
  /** undefined in a column means that every row must give it. */
  readonly default: T | undefined;
  readonly summary: string;
  /** The value as the program uses it; undefined when it is not allowed. */
  accept(value: unknown): T | undefined;
}

/** A key that is a list of tables (`[[key]]`); rows of several files are merged by `identity`. */
export interface RowsField<Row> {
  readonly shape: 'rows';
  readonly default: readonly Row[];
  readonly summary: string;
  readonly identity: keyof Row & string;
  readonly columns: { readonly [K in keyof Row]: ValueField<Row[K]> };
}

/** What a key's definition says besides its type; a required column has no default. */
interface Definition<T> {
  default?: T;
  summary: string;
}

function value<T>(
  of: { type: string; allowed: string },
  definition: Definition<T>,
  accept: (given: unknown) => T | undefined,
): ValueField<T> {
  return { shape: 'value', type: of.type, allowed: of.allowed, default: definition.default, summary: definition.summary, accept };
}

/** Any text, or that which `test` accepts. */
export function text(definition: Definition<string> & { allowed?: string; test?: (text: string) => boolean }): ValueField<string> {
  const allowed = definition.allowed ?? 'a string';
  return value({ type: 'string', allowed }, definition, (given) =>
    typeof given === 'string' && (definition.test?.(given) ?? true) ? given : undefined,
  );
}

/** An absolute path, at most `maxBytes` long. */
export function path(definition: Definition<string> & { maxBytes?: number }): ValueField<string> {
  const { maxBytes } = definition;
  const allowed = maxBytes === undefined ? 'an absolute path' : `an absolute path of at most ${maxBytes} bytes`;
  return value({ type: 'path', allowed }, definition, (given) => {
    if (typeof given !== 'string' || !isAbsolute(given)) return undefined;
    return maxBytes !== undefined && Buffer.byteLength(given) > maxBytes ? undefined : given;
  });
}

/** A program: a bare name looked up in PATH, or an absolute path. */
export function program(definition: Definition<string>): ValueField<string> {
  return value({ type: 'program', allowed: 'a program name without slashes, or an absolute path' }, definition, (given) =>
    typeof given === 'string' && given !== '' && (isAbsolute(given) || !given.includes('/')) ? given : undefined,
  );
}

/** An integer in a closed range. */
export function integer(definition: Definition<number> & { min: number; max: number; unit?: string }): ValueField<number> {
  const unit = definition.unit === undefined ? '' : ` (${definition.unit})`;
  const allowed = `an integer from ${definition.min} to ${definition.max}${unit}`;
  return value({ type: 'integer', allowed }, definition, (given) =>
    typeof given === 'number' && Number.isInteger(given) && given >= definition.min && given <= definition.max ? given : undefined,
  );
}

/** true or false. */
export function flag(definition: Definition<boolean>): ValueField<boolean> {
  return value({ type: 'boolean', allowed: 'true or false' }, definition, (given) => (typeof given === 'boolean' ? given : undefined));
}

/** One of a few words. */
export function oneOf<T extends string>(words: readonly T[], definition: Definition<T>): ValueField<T> {
  const allowed = `one of ${words.map((word) => `"${word}"`).join(', ')}`;
  return value({ type: 'string', allowed }, definition, (given) => words.find((word) => word === given));
}

/** A list of strings, each of which `test` accepts. */
export function list(definition: Definition<string[]> & { of: string; test: (item: string) => boolean }): ValueField<string[]> {
  return value({ type: 'list of strings', allowed: `a list of ${definition.of}` }, definition, (given) => {
    if (!Array.isArray(given)) return undefined;
    const items = given.filter((item): item is string => typeof item === 'string' && definition.test(item));
    return items.length === given.length ? items : undefined;
  });
}

/** A list of tables. */
export function rows<Row>(definition: Omit<RowsField<Row>, 'shape'>): RowsField<Row> {
  return { shape: 'rows', ...definition };
}
