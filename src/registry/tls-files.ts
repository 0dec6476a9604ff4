/**
 * Certificates and keys from files, checked when they are read: a wrong file
 * is named with the key that names it, instead of failing later as a
 * handshake that nobody can explain.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { messageOf } from '../errors/index.ts';
import { type ClientFiles, type HostEntry, problem } from './hosts-file.ts';
import type { TlsSettings } from './trust.ts';

/** Bytes of a file: bundles of all the world's authorities have 250 KiB. */
const FILE_LIMIT_BYTES = 4 * 1024 * 1024;

/** Reads what `entry` of `file` names. Rejects with CONFIG_INVALID. */
export async function readTls(entry: HostEntry, file: string): Promise<TlsSettings> {
  const ca = await Promise.all(entry.ca.map((path) => readAuthorities(path, file, `${entry.place}ca`)));
  const client = await Promise.all(entry.client.map((pair) => readPair(pair, file, `${entry.place}client`)));
  const types = client.map(({ type }) => type);
  const twice = types.find((type, at) => types.indexOf(type) !== at);
  if (twice !== undefined) {
    throw problem(file, `${entry.place}client names two certificates with keys of type ${twice}; one of each type can be offered`);
  }
  return { ca, client: client.map(({ cert, key }) => ({ cert, key })), verify: !entry.skipVerify };
}

async function readAuthorities(path: string, file: string, key: string): Promise<string> {
  const pem = await read(path, file, key);
  const blocks = pem.match(/-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]*-----END (?:TRUSTED )?CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw problem(file, `${key} names ${path}, which holds no certificate in PEM form`);
  for (const block of blocks) parseCertificate(block, path, { file, key });
  return pem;
}

async function readPair({ cert, key }: ClientFiles, file: string, name: string): Promise<{ cert: string; key: string; type: string }> {
  const [certPem, keyPem] = await Promise.all([read(cert, file, name), read(key, file, name)]);
  const certificate = parseCertificate(certPem, cert, { file, key: name });
  let secret: KeyObject;
  try {
    secret = createPrivateKey(keyPem);
  } catch {
    throw problem(file, `${name} names ${key}, which holds no unencrypted private key in PEM form`);
  }
  if (!certificate.checkPrivateKey(secret)) throw problem(file, `${name} names ${cert} and ${key}, which do not belong together`);
  return { cert: certPem, key: keyPem, type: secret.asymmetricKeyType ?? 'unknown' };
}

function parseCertificate(pem: string, path: string, { file, key }: { file: string; key: string }): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw problem(file, `${key} names ${path}, which is no certificate in PEM form (${messageOf(error)})`, error);
  }
}

async function read(path: string, file: string, key: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw problem(file, `${key} names ${path}, which cannot be read: ${messageOf(error)}`, error);
  }
  if (bytes.length > FILE_LIMIT_BYTES) throw problem(file, `${key} names ${path}, which is larger than ${FILE_LIMIT_BYTES} bytes`);
  return bytes.toString('utf8');
}
