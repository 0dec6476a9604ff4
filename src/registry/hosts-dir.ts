/**
 * The directory of hosts files: which one holds for a host, read anew for
 * each pull, so that a change needs no restart. HOST/hosts.toml counts, else
 * the certificates in HOST/ as docker lays them out, else the same of
 * _default/.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../errors/index.ts';
import { type ConfiguredHost, type Endpoint, endpointsOf } from './endpoints.ts';
import { type HostEntry, parseHostsFile, plainEntry, problem } from './hosts-file.ts';
import { readTls } from './tls-files.ts';

const HOSTS_FILE = 'hosts.toml';
const DEFAULT_DIR = '_default';
/** Characters of a hosts file; real ones have a screenful. */
const FILE_LIMIT = 256 * 1024;

/** The endpoints of `host`, in the order to ask them, as `dir` has them. Rejects with CONFIG_INVALID. */
export async function findEndpoints(dir: string, host: string): Promise<Endpoint[]> {
  return endpointsOf(host, (await configured(join(dir, host), false)) ?? (await configured(join(dir, DEFAULT_DIR), true)));
}

/** What one directory says; undefined when it says nothing. */
async function configured(dir: string, isDefault: boolean): Promise<ConfiguredHost | undefined> {
  const file = join(dir, HOSTS_FILE);
  const text = await unlessMissing(file, readFile(file, 'utf8'));
  if (text !== undefined) {
    if (text.length > FILE_LIMIT) throw problem(file, `it is longer than ${FILE_LIMIT} characters`);
    const { hosts, server } = parseHostsFile(text, file);
    return { source: file, isDefault, hosts: await Promise.all(hosts.map((entry) => load(entry, file))), server: await load(server, file) };
  }
  const entry = dockerLayout(dir, (await unlessMissing(dir, readdir(dir))) ?? []);
  return entry === undefined ? undefined : { source: dir, isDefault, hosts: [], server: await load(entry, dir) };
}

const load = async (entry: HostEntry, file: string): Promise<ConfiguredHost['server']> => ({ entry, tls: await readTls(entry, file) });

/** Docker's certs.d: NAME.crt is an authority, NAME.cert with NAME.key a client's certificate. */
function dockerLayout(dir: string, names: readonly string[]): HostEntry | undefined {
  const sorted = [...names].sort();
  const ca = sorted.filter((name) => name.endsWith('.crt')).map((name) => join(dir, name));
  const client = sorted
    .filter((name) => name.endsWith('.cert'))
    .map((name) => ({ cert: join(dir, name), key: join(dir, name.replace(/\.cert$/, '.key')) }));
  return ca.length === 0 && client.length === 0 ? undefined : plainEntry({ ca, client });
}

async function unlessMissing<T>(path: string, reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw problem(path, `cannot be read: ${messageOf(error)}`, error);
  }
}
