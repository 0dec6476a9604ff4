/**
 * Whose credentials serve at an endpoint: those of the pull at the registry's
 * own host, else what docker's config.json holds for the endpoint's host, so
 * that a mirror can have its own. The file is read once a pull, and a helper
 * runs only when an endpoint asks who we are.
 */
import { readFile } from 'node:fs/promises';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';
import { askHelper } from './credential-helper.ts';
import { credentialsFor, type FoundCredentials, hostNamed, type RawCredentials } from './credentials.ts';
import { type DockerConfig, dockerEntry, parseDockerConfig } from './docker-config.ts';
import type { Endpoint } from './endpoints.ts';

/** Characters of a config.json; real ones have some hundreds. */
const FILE_LIMIT = 1024 * 1024;

export class Keyring {
  readonly #host: string;
  readonly #given: FoundCredentials | undefined;
  readonly #file: string;
  #config: Promise<DockerConfig | undefined> | undefined;

  /** For references to `host`. Throws INVALID_ARGUMENT for credentials of the pull that cannot be read. */
  constructor(host: string, raw: RawCredentials | undefined, dockerConfigFile: string) {
    this.#host = host;
    this.#file = dockerConfigFile;
    const credentials = credentialsFor(host, raw);
    this.#given = credentials === undefined ? undefined : { credentials, whose: 'request' };
  }

  /** Credentials for `endpoint`; undefined is anonymous. Rejects with LoginError, or CONFIG_INVALID for the file. */
  async find(endpoint: Pick<Endpoint, 'url' | 'own'>): Promise<FoundCredentials | undefined> {
    if (endpoint.own && this.#given !== undefined) return this.#given;
    this.#config ??= this.#read();
    const config = await this.#config;
    if (config === undefined) return undefined;
    const hosts = [hostNamed(new URL(endpoint.url).host), ...(endpoint.own ? [hostNamed(this.#host)] : [])];
    for (const host of new Set(hosts)) {
      const found = await this.#ask(config, host);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The helper of the host, then the file itself, then the helper of all. */
  async #ask(config: DockerConfig, host: string): Promise<FoundCredentials | undefined> {
    const { ownHelper, credentials, store } = dockerEntry(config, host);
    const { file } = config;
    const helped = ownHelper === undefined ? undefined : await this.#help(ownHelper, host);
    if (helped !== undefined) return helped;
    if (credentials !== undefined) return { credentials, whose: file };
    return store === undefined ? undefined : await this.#help(store, host);
  }

  async #help(name: string, host: string): Promise<FoundCredentials | undefined> {
    const credentials = await askHelper(name, host, this.#file);
    return credentials === undefined ? undefined : { credentials, whose: `${this.#file} (helper ${name})` };
  }

  async #read(): Promise<DockerConfig | undefined> {
    let text: string;
    try {
      text = await readFile(this.#file, 'utf8');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
      throw new RuntimeError('precondition', 'CONFIG_INVALID', `${this.#file}: cannot be read: ${messageOf(error)}`, { cause: error });
    }
    if (text.length > FILE_LIMIT)
      throw new RuntimeError('precondition', 'CONFIG_INVALID', `${this.#file}: it is longer than ${FILE_LIMIT} characters`);
    return parseDockerConfig(text, this.#file);
  }
}
