/**
 * The config blob of an image, from bytes to what a container needs. Pure;
 * what is missing is empty, what is of a wrong type is refused, since a
 * container started with half a configuration is worse than none. Source:
 * OCI image-spec config.md.
 */
import { messageOf, RuntimeError } from '../errors/index.ts';
import { type DiffId, isDigest } from '../ids/index.ts';
import type { ImageConfig } from './types.ts';

/** Entries of a list or map, which stay in memory with the image; real images have some dozens. */
const ENTRIES_LIMIT = 10_000;

/** What a config blob says. */
export interface ParsedConfig {
  config: ImageConfig;
  /** Lowest first. */
  diffIds: DiffId[];
  variant: string;
}

/** Parses a config blob; `what` names the image in errors (IMAGE_MANIFEST). */
export function parseImageConfig(bytes: Uint8Array, what: string): ParsedConfig {
  const fields = new Fields(what, parse(bytes, what));
  const run = fields.object('config');
  const rootfs = fields.object('rootfs');
  const diffIds = rootfs.strings('diff_ids').map((text) => {
    if (!isDigest(text)) throw rootfs.fail('diff_ids', 'a list of sha256 digests');
    return text;
  });
  const config: ImageConfig = {
    user: run.string('User'),
    env: run.strings('Env'),
    entrypoint: run.strings('Entrypoint'),
    cmd: run.strings('Cmd'),
    workingDir: run.string('WorkingDir'),
    stopSignal: run.string('StopSignal'),
    volumes: Object.keys(run.object('Volumes').value),
    labels: run.stringMap('Labels'),
    architecture: fields.string('architecture'),
    os: fields.string('os'),
  };
  return { config, diffIds, variant: fields.string('variant') };
}

function parse(bytes: Uint8Array, what: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isObject(value)) return value;
  } catch (error) {
    throw unusable(what, `it is not JSON (${messageOf(error).slice(0, 100)})`);
  }
  throw unusable(what, 'it is not a JSON object');
}

/** Reads typed fields of one object; null counts as absent, as Go writes it. */
class Fields {
  readonly value: Record<string, unknown>;
  readonly #what: string;

  constructor(what: string, value: Record<string, unknown>) {
    this.#what = what;
    this.value = value;
  }

  object(name: string): Fields {
    const value = this.value[name] ?? {};
    if (!isObject(value)) throw this.fail(name, 'an object');
    if (Object.keys(value).length > ENTRIES_LIMIT) throw this.fail(name, `within ${ENTRIES_LIMIT} entries`);
    return new Fields(this.#what, value);
  }

  string(name: string): string {
    const value = this.value[name] ?? '';
    if (typeof value !== 'string') throw this.fail(name, 'a text');
    return value;
  }

  strings(name: string): string[] {
    const value = this.value[name] ?? [];
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) throw this.fail(name, 'a list of texts');
    if (value.length > ENTRIES_LIMIT) throw this.fail(name, `within ${ENTRIES_LIMIT} entries`);
    return value;
  }

  stringMap(name: string): Record<string, string> {
    const entries = Object.entries(this.object(name).value);
    if (!entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')) throw this.fail(name, 'a map of texts');
    return Object.fromEntries(entries);
  }

  fail(name: string, wanted: string): RuntimeError {
    return unusable(this.#what, `its field “${name}” is not ${wanted}`);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function unusable(what: string, why: string): RuntimeError {
  return new RuntimeError('unknown', 'IMAGE_MANIFEST', `the config of ${what} cannot be used: ${why}; rebuild the image`);
}
