import { createServer } from 'node:http';
import { inspect } from 'node:util';
import t from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import type { RegistryAuth } from '../../../src/image/index.ts';
import { hostsDir, hostsFile } from '../../fixtures/hosts-dir.ts';
import { openImages } from '../../fixtures/image-service.ts';
import { listen, startOddRegistry } from '../../fixtures/odd-registry.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const never = new AbortController().signal;
const image = buildImage({ layers: [{ entries: [{ path: 'a', content: 'x' }] }] });
const USER = { user: 'kim', password: 's3cr3t-pässword' };

const auth = (fields: Partial<RegistryAuth>): RegistryAuth => ({
  username: '',
  password: '',
  auth: '',
  serverAddress: '',
  identityToken: '',
  registryToken: '',
  ...fields,
});

t.test('basic: every form of name and password serves, others are refused, and no secret is ever shown', async (t) => {
  const registry = await startRegistry(t, { auth: USER });
  const images = openImages(t);
  const name = await registry.pushImage('private/app', '1', image);
  const { user: username, password } = USER;
  const encoded = Buffer.from(`${username}:${password}`).toString('base64');
  const good = [
    auth({ username, password }),
    auth({ auth: encoded }),
    auth({ username, password, serverAddress: `http://${registry.host}/v1/` }),
  ];
  for (const credentials of good) t.equal(await images.service.pull(name, credentials, never), image.id);
  const bad = [undefined, auth({ username, password: 'wrong-s3cr3t' }), auth({ username, password, serverAddress: 'elsewhere.example' })];
  for (const credentials of bad) {
    await t.rejects(images.service.pull(name, credentials, never), {
      kind: 'denied',
      reason: 'IMAGE_UNAUTHORIZED',
      message: /private\/app/,
    });
  }
  await t.rejects(images.service.pull(name, auth({ auth: 'bm8gY29sb24=' }), never), { name: 'RuntimeError', reason: 'INVALID_ARGUMENT' });
  const said = images.log.join('') + inspect(images.service.pulls(), { depth: 9 });
  for (const secret of [password, encoded, 'wrong-s3cr3t']) t.notOk(said.includes(secret));
});

t.test('bearer: a token is fetched with the credentials, or for a refresh token, or used as it is', async (t) => {
  const asked: string[] = [];
  const tokens = createServer(async (request, response) => {
    const chunks = await request.toArray();
    asked.push(`${request.method} ${request.url} ${request.headers.authorization ?? '-'} ${Buffer.concat(chunks)}`);
    const isKnown =
      request.headers.authorization === `Basic ${Buffer.from('kim:pw').toString('base64')}` ||
      String(Buffer.concat(chunks)).includes('refresh_token=r3fr3sh');
    if (!isKnown) response.writeHead(401).end('{}');
    else response.end(JSON.stringify(request.method === 'GET' ? { token: 't0k3n' } : { access_token: 't0k3n' }));
  });
  const { port } = await listen(t, tokens);
  const registry = await startOddRegistry(t, [image], (request, response) => {
    if (request.headers.authorization === 'Bearer t0k3n') return false;
    const challenge = `Bearer realm="http://127.0.0.1:${port}/token?x=1",service="reg",scope="repository:app:pull"`;
    response.writeHead(401, { 'www-authenticate': challenge }).end();
    return true;
  });
  const images = openImages(t);
  const name = `${registry.host}/app:0`;
  t.equal(await images.service.pull(name, auth({ username: 'kim', password: 'pw' }), never), image.id);
  t.match(asked[0], /^GET \/token\?x=1&service=reg&scope=repository%3Aapp%3Apull /);
  t.equal(await images.service.pull(name, auth({ identityToken: 'r3fr3sh' }), never), image.id);
  t.match(asked.at(-1), /^POST .*grant_type=refresh_token/);
  t.equal(await images.service.pull(name, auth({ registryToken: 't0k3n' }), never), image.id);
  for (const credentials of [undefined, auth({ username: 'kim', password: 'no' }), auth({ registryToken: 'no' })]) {
    await t.rejects(images.service.pull(name, credentials, never), { name: 'RuntimeError', kind: 'denied', reason: 'IMAGE_UNAUTHORIZED' });
  }
  t.notOk(/t0k3n|r3fr3sh/.test(images.log.join('')));
});

t.test('a registry that never accepts its own token is given up after one try', async (t) => {
  const registry = await startOddRegistry(t, [image], (request, response) => {
    if (request.url?.startsWith('/token') === true) response.end('{"token":"x"}');
    else response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token"` }).end();
    return true;
  });
  await t.rejects(openImages(t).service.pull(`${registry.host}/app:0`, undefined, never), {
    name: 'RuntimeError',
    reason: 'IMAGE_UNAUTHORIZED',
  });
  t.equal(registry.requests.length, 3);
});

t.test('a redirect to another host does not take the credentials along', async (t) => {
  const seen: (string | undefined)[] = [];
  const storage = await startOddRegistry(t, [image], (request) => {
    seen.push(request.headers.authorization);
    return false;
  });
  const registry = await startOddRegistry(t, [image], (request, response) => {
    if (request.headers.authorization === undefined) response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
    else if (request.url?.includes('/blobs/') === true) response.writeHead(307, { location: `${storage.url}${request.url}` }).end();
    else return false;
    return true;
  });
  const images = openImages(t);
  t.equal(await images.service.pull(`${registry.host}/app:0`, auth({ username: 'kim', password: 'pw' }), never), image.id);
  t.same(seen, [undefined, undefined], 'config and layer came from there, without a secret');
});

t.test('a mirror never sees the credentials of the host', async (t) => {
  const seen: (string | undefined)[] = [];
  const mirror = await startOddRegistry(t, [image], (request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
    return true;
  });
  const registry = await startOddRegistry(t, [image]);
  const images = openImages(t, { hostsDir: hostsDir(t, { [`${registry.host}/hosts.toml`]: hostsFile(registry.url, [[mirror.url]]) }) });
  t.equal(await images.service.pull(`${registry.host}/app:0`, auth({ username: 'kim', password: 'pw' }), never), image.id);
  t.same(seen, [undefined]);
});

t.test('a redirect to another host takes no secret along, whatever that host asks for', async (t) => {
  const seen: string[] = [];
  const elsewhere = createServer(async (request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization ?? '-'} ${Buffer.concat(await request.toArray())}`);
    if (request.url?.startsWith('/token')) response.end('{"token":"t0k3n"}');
    else response.writeHead(401, { 'www-authenticate': `Bearer realm="http://127.0.0.1:${other.port}/token",service="x"` }).end();
  });
  const other = await listen(t, elsewhere);
  const registry = await startOddRegistry(t, [image], (request, response) => {
    if (request.url?.startsWith('/token')) response.writeHead(307, { location: `http://127.0.0.1:${other.port}/token` }).end();
    else if (request.url?.includes('/blobs/')) response.writeHead(307, { location: `http://127.0.0.1:${other.port}/blob` }).end();
    else if (request.url?.includes('/posts/') && request.headers.authorization === undefined) {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token",service="x"` }).end();
    } else return false;
    return true;
  });
  const images = openImages(t);
  const basic = auth({ username: 'kim', password: 's3cr3t' });
  await t.rejects(images.service.pull(`${registry.host}/blob:0`, basic, never), { name: 'RuntimeError', reason: 'IMAGE_UNAUTHORIZED' });
  const refresh = auth({ identityToken: 'r3fr3sh' });
  await t.rejects(images.service.pull(`${registry.host}/posts:0`, refresh, never), {
    reason: 'REGISTRY_UNAVAILABLE',
    message: /redirected to another host/,
  });
  t.same(seen, ['GET /blob - '], 'the challenge of the other host was not answered, the log-in not taken there');
});
