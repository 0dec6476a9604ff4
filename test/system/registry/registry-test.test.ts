// `berth registry test` and the errors that kubelet sees, by a whole daemon and real registries.
import '../../fixtures/private-netns.ts';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import { CallError } from '../../../src/cli/failure.ts';
import { imageService } from '../../../src/gen/index.ts';
import { makeAuthority } from '../../fixtures/certificates.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { hostsDir, hostsFile } from '../../fixtures/hosts-dir.ts';
import { listen, startOddRegistry } from '../../fixtures/odd-registry.ts';
import { setVariables, startProxy } from '../../fixtures/proxy.ts';
import { freePort, startRegistry } from '../../fixtures/registry.ts';
import { auth, openClient, pushBuilt } from '../../fixtures/registry-client.ts';
import { RecordingTerminal, runOn } from '../../fixtures/terminal.ts';

const ADDRESS = '10.209.77.1';
const USER = { user: 'kim', password: 's3cr3t' };
const image = buildImage({ layers: [{ entries: [{ path: 'a', content: 'x' }] }] });

for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy']) delete process.env[name];
execFileSync('ip', ['link', 'set', 'lo', 'up']);
execFileSync('ip', ['address', 'add', `${ADDRESS}/32`, 'dev', 'lo']);

t.test('every endpoint is asked in order, and shown with who, how and what', async (t) => {
  const authority = makeAuthority(t, 'Test Authority');
  const registry = await startRegistry(t, { address: ADDRESS, auth: USER, tls: authority.issue('registry', { san: `IP:${ADDRESS}` }) });
  const dead = `http://127.0.0.1:${await freePort()}`;
  const empty = await startOddRegistry(t, []);
  const pullOnly = await startOddRegistry(t, [image]);
  const proxy = await startProxy(t, { authorization: `Basic ${Buffer.from('pat:pr0xy').toString('base64')}` });
  const toml = [
    hostsFile(registry.url, []),
    `ca = "${authority.ca}"`,
    `[host."${dead}"]`,
    `[host."${pullOnly.url}"]\ncapabilities = ["pull"]`,
    `[host."${empty.url}"]`,
  ].join('\n');
  const dir = hostsDir(t, { [`${registry.host}/hosts.toml`]: toml });
  const file = join(dir, registry.host, 'hosts.toml');
  const credentials = auth({ username: USER.user, password: USER.password });
  const name = await pushBuilt(openClient(t, { hostsDir: dir }), `${registry.host}/private/app:1`, image, credentials);
  setVariables(t, { HTTPS_PROXY: proxy.url.replace('//', '//pat:pr0xy@') });
  const daemon = await startDaemon(t, { set: [`images.hosts_dir=${dir}`] });
  const berth = (...argv: string[]) => runOn(new RecordingTerminal({ env: { BERTH_SOCKET: daemon.socket } }), argv);

  const { out, err, code } = await berth('registry', 'test', name, '--creds', `${USER.user}:${USER.password}`);
  t.same([err, code], ['', 0]);
  const number = '[0-9.]+ ms';
  const digest = image.manifest.descriptor.digest;
  const expected = [
    name,
    '',
    `1. ${dead}`,
    `   Named by:  ${file} (a mirror)`,
    '   TLS:       none: plain http',
    '   Login:     none',
    '   Answer:    connection refused (ECONNREFUSED)',
    '   Then:      a pull asks the next one',
    '',
    `2. ${pullOnly.url}`,
    `   Named by:  ${file} (a mirror)`,
    '   TLS:       none: plain http',
    '   Login:     none',
    '   Answer:    has it',
    `   Time:      connected after ${number}, answered after ${number}`,
    '   Then:      a pull takes it from here',
    '',
    `3. ${empty.url}`,
    `   Named by:  ${file} (a mirror)`,
    '   TLS:       none: plain http',
    '   Login:     none',
    '   Answer:    answered 404',
    `   Time:      connected after ${number}, answered after ${number}`,
    '   Then:      a pull asks the next one',
    '',
    `4. ${registry.url}`,
    `   Named by:     ${file}`,
    `   Proxy:        ${proxy.url}`,
    '   TLS:          TLSv1.3',
    '   Certificate:  CN=registry, O=berth tests; issued by CN=Test Authority, O=berth tests; until 20..-..-..T..:..:..\\.000Z',
    '   Login:        basic, credentials of the request',
    '   Answer:       has it',
    `   Digest:       ${digest}`,
    `   Time:         connected after ${number}, answered after ${number}`,
    '   Then:         a pull takes it from here',
    '',
    `a pull gets it from ${pullOnly.url}`,
    '',
  ];
  const lines = out.split('\n');
  t.equal(lines.length, expected.length, out);
  for (const [at, line] of expected.entries())
    t.match(lines[at], new RegExp(`^${line.replace(/[()+]/g, '\\$&').replaceAll('[0-9.]\\+', '[0-9.]+')}$`));
  t.ok(
    pullOnly.requests.some((line) => line === `HEAD /v2/private/app/manifests/${digest}?ns=${encodeURIComponent(registry.host)}`),
    'asked for the digest',
  );
  t.notMatch(out + JSON.stringify(daemon.log()), /s3cr3t|pr0xy/);

  const json = JSON.parse((await berth('registry', 'test', name, '-o', 'json')).out);
  t.equal(json.reference, name);
  t.match(json.endpoints.at(-1), {
    url: registry.url,
    own: true,
    source: file,
    credentials: 'anonymous',
    login: 'none',
    proxy: proxy.url,
    tls: { version: 'TLSv1.3', subject: 'CN=registry, O=berth tests', verified: true },
    ok: false,
    said: 'it wants a user name and password, and none were given for it',
    digest: '',
  });
  t.same(
    json.endpoints.map((endpoint: { then: string }) => endpoint.then),
    ['next', 'next', 'next', 'stop'],
  );
  t.match(json.endpoints[1], { said: /^was not asked: it may not say what a tag stands for/, answeredAfter: '0' });
  t.equal((await berth('registry', 'test', name)).code, 1);

  writeFileSync(
    join(daemon.dir, 'docker.json'),
    JSON.stringify({ auths: { [registry.host]: { username: USER.user, password: 'wr0ng' } } }),
  );
  const wrong = await berth('registry', 'test', name);
  t.match(wrong.out, `   Answer:       answered 401 to the credentials of ${join(daemon.dir, 'docker.json')}\n`);
  t.match(wrong.out, /a pull does not get it\n$/);
  t.equal(wrong.code, 1);

  writeFileSync(join(daemon.dir, 'docker.json'), '{');
  const broken = await berth('registry', 'test', name);
  t.match(broken.out, `   Answer:       ${join(daemon.dir, 'docker.json')}: it is not JSON`);
  t.equal(broken.code, 1);

  writeFileSync(file, `${toml}\nskip_verify = 1`);
  const refused = await berth('registry', 'test', name);
  t.same([refused.out, refused.code], ['', 1]);
  t.match(
    refused.err,
    new RegExp(
      `^berth: ${file}: host\\."${empty.url}"\\.skip_verify = 1 is not allowed; allowed is true or false\n  reason CONFIG_INVALID`,
    ),
  );
  t.match((await berth('registry', 'test', 'a//b')).err, /reason IMAGE_REFERENCE/);
  t.equal((await berth('registry', 'test')).code, 2);
});

t.test(
  'a certificate that is not verified is said to be so; a server without HEAD is asked by GET; a log-in by token is shown',
  async (t) => {
    const authority = makeAuthority(t, 'Test Authority');
    const own = authority.issue('registry');
    const { createServer } = await import('node:https');
    const asked: string[] = [];
    const server = createServer({ cert: readFileSync(own.cert), key: readFileSync(own.key) }, (request, response) => {
      asked.push(`${request.method}`);
      if (request.url?.startsWith('/token') === true) response.end('{"token":"t0k3n"}');
      else if (request.headers.authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': `Bearer realm="https://${request.headers.host}/token"` }).end();
      } else if (request.method === 'HEAD') response.writeHead(405).end();
      else response.writeHead(200, { 'content-type': image.manifest.descriptor.mediaType }).end(image.manifest.bytes);
    });
    const { port } = await listen(t, server);
    const host = `127.0.0.1:${port}`;
    const daemon = await startDaemon(t, { set: [`images.hosts_dir=${hostsDir(t, { [`${host}/hosts.toml`]: 'skip_verify = true' })}`] });
    const { out, code } = await runOn(new RecordingTerminal({ env: { BERTH_SOCKET: daemon.socket } }), [
      'registry',
      'test',
      `${host}/app:1`,
    ]);
    t.equal(code, 0);
    t.match(out, /TLS: +TLSv1\.3, NOT VERIFIED \(skip_verify\)\n/);
    t.match(out, /Login: +token, anonymous\n/);
    t.match(out, `Digest:       ${image.manifest.descriptor.digest}\n`);
    t.same(asked, ['HEAD', 'GET', 'HEAD', 'GET']);
  },
);

t.test('kubelet gets RegistryUnavailable where the registry is down, fails or is too busy, and only there', async (t) => {
  const statuses = { 500: 500, 503: 503, 429: 429, 404: 404, 401: 401 };
  const odd = await startOddRegistry(t, [], (request, response) => {
    const [, , repository = ''] = request.url?.split('/') ?? [];
    response.writeHead(statuses[Number(repository) as keyof typeof statuses]).end();
    return true;
  });
  const daemon = await startDaemon(t);
  const pull = async (reference: string): Promise<CallError> => {
    try {
      await daemon.client.call(imageService.PullImage, { image: { image: reference } });
    } catch (error) {
      if (error instanceof CallError) return error;
      throw error;
    }
    throw new Error('pulled');
  };
  const unavailable = [`127.0.0.1:${await freePort()}/app:1`, `${odd.host}/500:1`, `${odd.host}/503:1`, `${odd.host}/429:1`];
  for (const reference of unavailable) {
    const { status, reason, message } = await pull(reference);
    t.same([status, reason], ['UNKNOWN', 'REGISTRY_UNAVAILABLE'], reference);
    t.match(message, new RegExp(`^RegistryUnavailable: image ${reference}: the registry cannot be reached or fails \\(http://`));
    t.equal((await pull(reference)).message, message, 'the same words again, so that events are folded');
  }
  t.match(await pull(`${odd.host}/404:1`), { status: 'NOT_FOUND', reason: 'IMAGE_NOT_IN_REGISTRY', message: /^image / });
  t.match(await pull(`${odd.host}/401:1`), { status: 'PERMISSION_DENIED', reason: 'IMAGE_UNAUTHORIZED', message: /^image / });
});
