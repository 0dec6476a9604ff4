// TLS with authorities and client certificates of one's own, against the real registry.
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:https';
import { createServer as createSocketServer } from 'node:net';
import type { TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import { makeAuthority } from '../../fixtures/certificates.ts';
import { hostsDir, hostsFile } from '../../fixtures/hosts-dir.ts';
import { openImages } from '../../fixtures/image-service.ts';
import { listen } from '../../fixtures/odd-registry.ts';
import { startRegistry } from '../../fixtures/registry.ts';
import { auth, openClient, pushBuilt } from '../../fixtures/registry-client.ts';

const never = new AbortController().signal;
const USER = { user: 'kim', password: 's3cr3t' };
const credentials = auth({ username: USER.user, password: USER.password });
const image = buildImage({ layers: [{ entries: [{ path: 'a', content: 'x' }] }] });

/** A pull of `reference` by a service with these hosts files. */
const pullBy = (t: Test, reference: string, files: Record<string, string>): Promise<string> =>
  openImages(t, { hostsDir: hostsDir(t, files) }).service.pull(reference, credentials, never);

t.test('a registry with a certificate of its own authority, which wants a log-in', async (t) => {
  const authority = makeAuthority(t, 'Test Authority');
  const registry = await startRegistry(t, { auth: USER, tls: authority.issue('registry') });
  const toml = `server = "${registry.url}"\nca = "${authority.ca}"`;
  const client = openClient(t, { hostsDir: hostsDir(t, { [`${registry.host}/hosts.toml`]: toml }) });
  const name = await pushBuilt(client, `${registry.host}/private/app:1`, image, credentials);
  const good: Record<string, Record<string, string>> = {
    'ca in the hosts file': { [`${registry.host}/hosts.toml`]: toml },
    'ca without a server': { [`${registry.host}/hosts.toml`]: `ca = ["${authority.ca}"]` },
    'ca beside the file': {
      [`${registry.host}/hosts.toml`]: 'ca = "own.crt"',
      [`${registry.host}/own.crt`]: readFileSync(authority.ca, 'utf8'),
    },
    'docker’s layout': { [`${registry.host}/ca.crt`]: readFileSync(authority.ca, 'utf8') },
    'docker’s layout for all': { '_default/ca.crt': readFileSync(authority.ca, 'utf8') },
    'a hosts file for all': { '_default/hosts.toml': `ca = "${authority.ca}"` },
    'no verification': { [`${registry.host}/hosts.toml`]: 'skip_verify = true' },
  };
  for (const [what, files] of Object.entries(good)) t.equal(await pullBy(t, name, files), image.id, what);
  const other = makeAuthority(t, 'Another');
  const bad: [files: Record<string, string>, message: RegExp][] = [
    [{ [`${registry.host}/hosts.toml`]: `server = "${registry.url}"` }, /signed by an unknown authority/],
    [{ [`${registry.host}/hosts.toml`]: `ca = "${other.ca}"` }, /signed by an unknown authority/],
    [
      { [`${registry.host}/hosts.toml`]: `server = "${registry.url}"`, '_default/ca.crt': readFileSync(authority.ca, 'utf8') },
      /unknown authority/,
    ],
    [{ [`${registry.host}/hosts.toml`]: `server = "http://${registry.host}"` }, /answered 400/],
  ];
  for (const [files, message] of bad) await t.rejects(pullBy(t, name, files), { kind: 'unknown', reason: 'REGISTRY_UNAVAILABLE', message });
});

t.test('a certificate for another name, and a server without TLS', async (t) => {
  const authority = makeAuthority(t, 'Test Authority');
  const registry = await startRegistry(t, { tls: authority.issue('registry', { san: 'DNS:registry.example' }) });
  const plain = await startRegistry(t);
  const trusting = (host: string) => ({ [`${host}/hosts.toml`]: `server = "https://${host}"\nca = "${authority.ca}"` });
  await t.rejects(pullBy(t, `${registry.host}/app:1`, trusting(registry.host)), {
    reason: 'REGISTRY_UNAVAILABLE',
    message: /TLS certificate is for another name/,
  });
  await t.rejects(pullBy(t, `${plain.host}/app:1`, trusting(plain.host)), {
    reason: 'REGISTRY_UNAVAILABLE',
    message: /does not speak TLS \(if that is meant/,
  });
});

t.test('a registry that wants a client certificate', async (t) => {
  const authority = makeAuthority(t, 'Test Authority');
  const clients = makeAuthority(t, 'Clients');
  const registry = await startRegistry(t, { tls: { ...authority.issue('registry'), clientCa: clients.ca } });
  const [ec, rsa, stranger] = [clients.issue('node'), clients.issue('node', { type: 'rsa' }), authority.issue('stranger')];
  const toml = (client: string): Record<string, string> => ({ [`${registry.host}/hosts.toml`]: `ca = "${authority.ca}"\n${client}` });
  const pair = ({ cert, key }: { cert: string; key: string }): string => `["${cert}", "${key}"]`;
  const client = openClient(t, { hostsDir: hostsDir(t, toml(`client = [${pair(ec)}]`)) });
  const name = await pushBuilt(client, `${registry.host}/app:1`, image);
  const both = readFileSync(rsa.cert, 'utf8') + readFileSync(rsa.key, 'utf8');
  const good: Record<string, Record<string, string>> = {
    'a pair': toml(`client = [${pair(rsa)}]`),
    'two of different types': toml(`client = [${pair(ec)}, ${pair(rsa)}]`),
    'one file': { ...toml('client = "both.pem"'), [`${registry.host}/both.pem`]: both },
    'docker’s layout': {
      [`${registry.host}/ca.crt`]: readFileSync(authority.ca, 'utf8'),
      [`${registry.host}/node.cert`]: readFileSync(ec.cert, 'utf8'),
      [`${registry.host}/node.key`]: readFileSync(ec.key, 'utf8'),
    },
  };
  for (const [what, files] of Object.entries(good)) t.equal(await pullBy(t, name, files), image.id, what);
  await t.rejects(pullBy(t, name, toml('')), { reason: 'REGISTRY_UNAVAILABLE', message: /wants a client certificate that it knows/ });
  await t.rejects(pullBy(t, name, toml(`client = [${pair(stranger)}]`)), {
    reason: 'REGISTRY_UNAVAILABLE',
    message: /wants a client certificate that it knows/,
  });
});

t.test('files that cannot serve are named with the key that names them', async (t) => {
  const authority = makeAuthority(t, 'Test Authority');
  const [one, two, key] = [authority.issue('one'), authority.issue('two'), authority.issue('three', { type: 'rsa' }).key];
  const table: [toml: string, message: RegExp][] = [
    ['ca = "/nowhere/ca.crt"', /hosts\.toml: ca names \/nowhere\/ca\.crt, which cannot be read: ENOENT/],
    [`ca = "${one.key}"`, /ca names .*\.key, which holds no certificate in PEM form/],
    [`[host."https://m"]\nclient = "${one.cert}"`, /host\."https:\/\/m"\.client names .*\.crt, which holds no unencrypted private key/],
    [`client = [["${one.cert}", "${two.key}"]]`, /client names .* and .*, which do not belong together/],
    [`client = [["${one.cert}", "${key}"]]`, /do not belong together/],
    [
      `client = [["${one.cert}", "${one.key}"], ["${two.cert}", "${two.key}"]]`,
      /client names two certificates with keys of type ec; one of each type can be offered/,
    ],
  ];
  for (const [toml, message] of table) {
    await t.rejects(
      pullBy(t, 'reg.example/app:1', { 'reg.example/hosts.toml': toml }),
      { kind: 'precondition', reason: 'CONFIG_INVALID', message },
      toml,
    );
  }
  await t.rejects(pullBy(t, 'reg.example/app:1', { 'reg.example/node.cert': readFileSync(one.cert, 'utf8') }), {
    reason: 'CONFIG_INVALID',
    message: /client names .*\/reg\.example\/node\.key, which cannot be read/,
  });
});

t.test('the system’s authorities count in addition to an endpoint’s own', async (t) => {
  const [system, own] = [makeAuthority(t, 'System'), makeAuthority(t, 'Own')];
  const registry = await startRegistry(t, { tls: system.issue('registry') });
  const toml = `server = "${registry.url}"\nca = "${own.ca}"`;
  const files = { [`${registry.host}/hosts.toml`]: toml };
  const before = process.env.SSL_CERT_FILE;
  t.teardown(() => {
    if (before === undefined) delete process.env.SSL_CERT_FILE;
    else process.env.SSL_CERT_FILE = before;
  });
  process.env.SSL_CERT_FILE = system.ca;
  const name = await pushBuilt(openClient(t, { hostsDir: hostsDir(t, files) }), `${registry.host}/app:1`, image);
  t.equal(await pullBy(t, name, files), image.id);
  delete process.env.SSL_CERT_FILE;
  await t.rejects(pullBy(t, name, files), { name: 'RuntimeError', reason: 'REGISTRY_UNAVAILABLE' });
});

t.test('who we are is told to the endpoint alone: no certificate and no header goes along to another origin', async (t) => {
  const authority = makeAuthority(t, 'Test Authority');
  const own = authority.issue('registry');
  const node = authority.issue('node');
  const seen: [where: string, client: string | undefined, header: string | undefined][] = [];
  const serve = async (name: string, answer: (url: string) => { location: string } | { bytes: Buffer; type: string }): Promise<number> => {
    const options = {
      cert: readFileSync(own.cert),
      key: readFileSync(own.key),
      ca: readFileSync(authority.ca),
      requestCert: true,
      rejectUnauthorized: false,
    };
    const server = createServer(options, (request, response) => {
      const { CN } = (request.socket as TLSSocket).getPeerCertificate().subject ?? {};
      seen.push([name, String(CN), request.headers['x-secret']?.toString()]);
      const found = answer(request.url ?? '');
      if ('location' in found) response.writeHead(307, found).end();
      else response.writeHead(200, { 'content-type': found.type }).end(found.bytes);
    });
    return (await listen(t, server)).port;
  };
  const { manifest, blobs } = image;
  const storage = await serve('storage', (url) => ({
    bytes: blobs.get(url.slice(1)) ?? Buffer.alloc(0),
    type: 'application/octet-stream',
  }));
  const port = await serve('registry', (url) => {
    const digest = /sha256:.*/.exec(url)?.[0];
    return digest === undefined
      ? { bytes: manifest.bytes, type: manifest.descriptor.mediaType }
      : { location: `https://127.0.0.1:${storage}/${digest}` };
  });
  const toml = `ca = "${authority.ca}"\nclient = [["${node.cert}", "${node.key}"]]\n[header]\nx-secret = "s3cr3t"`;
  t.equal(await pullBy(t, `127.0.0.1:${port}/app:1`, { [`127.0.0.1:${port}/hosts.toml`]: toml }), image.id);
  const told = new Set(seen.map((line) => line.join(' ')));
  t.same(told, new Set(['registry node s3cr3t', 'storage undefined ']));
});

t.test('from https nothing that matters goes on in the clear', async (t) => {
  const authority = makeAuthority(t, 'Test Authority');
  const own = authority.issue('registry');
  const { manifest, blobs } = image;
  const storage = createHttpServer((request, response) => response.end(blobs.get((request.url ?? '').slice(1))));
  const { port: clear } = await listen(t, storage);
  let redirects: RegExp = /blobs/;
  const server = createServer({ cert: readFileSync(own.cert), key: readFileSync(own.key) }, (request, response) => {
    const url = request.url ?? '';
    const digest = /sha256:.*/.exec(url)?.[0] ?? '';
    if (url.startsWith('/v2/private') && request.headers.authorization === undefined)
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
    else if (redirects.test(url)) response.writeHead(307, { location: `http://127.0.0.1:${clear}/${digest}` }).end();
    else if (url.includes('/manifests/')) response.writeHead(200, { 'content-type': manifest.descriptor.mediaType }).end(manifest.bytes);
    else response.end(blobs.get(digest));
  });
  const { port } = await listen(t, server);
  const files = { [`127.0.0.1:${port}/hosts.toml`]: `ca = "${authority.ca}"` };
  t.equal(await pullBy(t, `127.0.0.1:${port}/open/app:1`, files), image.id, 'content that is compared with its digest may');
  const refused = { reason: 'REGISTRY_UNAVAILABLE', message: /redirects to http:\/\/127\.0\.0\.1:[0-9]+, which is not encrypted/ };
  await t.rejects(pullBy(t, `127.0.0.1:${port}/private/app:1`, files), refused, 'not what a log-in was needed for');
  redirects = /manifests/;
  await t.rejects(pullBy(t, `127.0.0.1:${port}/open/app:1`, files), refused, 'not what a tag means');
});

t.test('a server that accepts and says nothing costs the dial timeout, then the next one is asked', async (t) => {
  const silent = createSocketServer();
  const sockets = new Set<{ destroy(): void }>();
  silent.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const { port } = silent.address() as { port: number };
  const registry = await startRegistry(t);
  const name = await registry.pushImage('app', '1', image);
  const mirror = [`https://127.0.0.1:${port}`, 'dial_timeout = "300ms"'] as const;
  t.equal(await pullBy(t, name, { [`${registry.host}/hosts.toml`]: hostsFile(registry.url, [mirror]) }), image.id);
  await t.rejects(pullBy(t, name, { [`${registry.host}/hosts.toml`]: hostsFile(registry.url, [[...mirror, 'fallback = "never"']]) }), {
    reason: 'REGISTRY_UNAVAILABLE',
    message: /no connection in time/,
  });
});
