/**
 * The config blob of an image, from bytes to what a container needs. Pure;
 * what is missing is empty, what is of a wrong type is refused, since a
 * container started with half a configuration is worse than none. Source:
 * OCI image-spec config.md.
 */
import { RuntimeError } from '../errors/index.ts';
import { type DiffId, isDigest } from '../ids/index.ts';
import { isObject, parseJsonObject } from '../registry/index.ts';
import type { ImageConfig } from './types.ts';

/** Entries of a list or map, which stay in memory with the image; real images have some dozens. */
const ENTRIES_LIMIT = 10_000;
/** Characters of USER, which stands in every list of images; a login name has at most 32. */
const USER_LIMIT = 256;

/** What a config blob says. */
export interface ParsedConfig {
  config: ImageConfig;
  /** Lowest first. */
  diffIds: DiffId[];
  variant: string;
}

/** Parses a config blob; `what` names the image in errors (IMAGE_MANIFEST). */
export function parseImageConfig(bytes: Uint8Array, what: string): ParsedConfig {
  const fields = new Fields(
    what,
    parseJsonObject(bytes, (why) => unusable(what, why)),
  );
  const run = fields.object('config');
  const rootfs = fields.object('rootfs');
  const diffIds = rootfs.strings('diff_ids').map((text) => {
    if (!isDigest(text)) throw rootfs.fail('diff_ids', 'a list of sha256 digests');
    return text;
  });
  const config: ImageConfig = {
    user: run.shortString('User', USER_LIMIT),
    env: run.strings('Env'),
    entrypoint: run.strings('Entrypoint'),
    cmd: run.strings('Cmd'),
    workingDir: run.string('WorkingDir'),
    stopSignal: run.string('StopSignal'),
    volumes: run.keys('Volumes'),
    labels: run.stringMap('Labels'),
    architecture: fields.string('architecture'),
    os: fields.string('os'),
  };
  return { config, diffIds, variant: fields.string('variant') };
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
    if (!isText(value)) throw this.fail(name, 'a text');
    return value;
  }

  shortString(name: string, limit: number): string {
    const value = this.string(name);
    if (value.length > limit) throw this.fail(name, `within ${limit} characters`);
    return value;
  }

  strings(name: string): string[] {
    const value = this.value[name] ?? [];
    if (!Array.isArray(value) || !value.every(isText)) throw this.fail(name, 'a list of texts');
    if (value.length > ENTRIES_LIMIT) throw this.fail(name, `within ${ENTRIES_LIMIT} entries`);
    return value;
  }

  keys(name: string): string[] {
    const keys = Object.keys(this.object(name).value);
    if (!keys.every(isText)) throw this.fail(name, 'an object of texts');
    return keys;
  }

  stringMap(name: string): Record<string, string> {
    const entries = Object.entries(this.object(name).value);
    if (!entries.every((entry): entry is [string, string] => entry.every(isText))) throw this.fail(name, 'a map of texts');
    return Object.fromEntries(entries);
  }

  fail(name: string, wanted: string): RuntimeError {
    return unusable(this.#what, `its field “${name}” is not ${wanted}`);
  }
}

/** A NUL ends a text in the kernel, and a lone surrogate makes a message that Go cannot read, a list of all images say. */
const isText = (value: unknown): value is string => typeof value === 'string' && value.isWellFormed() && !value.includes('\0');

function unusable(what: string, why: string): RuntimeError {
  return new RuntimeError('unknown', 'IMAGE_MANIFEST', `the config of ${what} cannot be used: ${why}; rebuild the image`);
}
