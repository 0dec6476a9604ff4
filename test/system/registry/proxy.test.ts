// Proxies from the environment, between us and the real registry at an address that is not loopback.
import '../../fixtures/private-netns.ts';
import { execFileSync } from 'node:child_process';
import { inspect } from 'node:util';
import t, { type Test } from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import { makeAuthority } from '../../fixtures/certificates.ts';
import { hostsDir, hostsFile } from '../../fixtures/hosts-dir.ts';
import { openImages, type TestImages } from '../../fixtures/image-service.ts';
import { startOddRegistry } from '../../fixtures/odd-registry.ts';
import { setVariables, startProxy } from '../../fixtures/proxy.ts';
import { freePort, type Registry, startRegistry } from '../../fixtures/registry.ts';
import { openClient, pushBuilt } from '../../fixtures/registry-client.ts';

const never = new AbortController().signal;
const ADDRESS = '10.209.77.1';
const image = buildImage({ layers: [{ entries: [{ path: 'a', content: 'x' }] }, { entries: [{ path: 'b', content: 'y' }] }] });
const SECRET = 's3cr3t%p';

for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy']) delete process.env[name];
execFileSync('ip', ['link', 'set', 'lo', 'up']);
execFileSync('ip', ['address', 'add', `${ADDRESS}/32`, 'dev', 'lo']);

/** A TLS registry with the image in it, reached directly so far, and a service that trusts it. */
async function secured(t: Test): Promise<{ registry: Registry; name: string; open: () => TestImages }> {
  const authority = makeAuthority(t, 'Test Authority');
  const registry = await startRegistry(t, { address: ADDRESS, tls: authority.issue('registry', { san: `IP:${ADDRESS}` }) });
  const dir = hostsDir(t, { [`${registry.host}/hosts.toml`]: `ca = "${authority.ca}"` });
  const name = await pushBuilt(openClient(t, { hostsDir: dir }), `${registry.host}/app:1`, image);
  return { registry, name, open: () => openImages(t, { hostsDir: dir }) };
}

t.test('https goes through a tunnel, and the proxy’s credentials to the proxy alone', async (t) => {
  const { registry, name, open } = await secured(t);
  const authorization = `Basic ${Buffer.from(`kim:${SECRET}`).toString('base64')}`;
  const proxy = await startProxy(t, { authorization });
  setVariables(t, { HTTPS_PROXY: proxy.url.replace('//', `//kim:${encodeURIComponent(SECRET)}@`) });
  const images = open();
  t.equal(await images.service.pull(name, undefined, never), image.id);
  t.ok(proxy.requests.length > 0);
  t.same(new Set(proxy.requests), new Set([`CONNECT ${registry.host}`]));
  setVariables(t, { HTTPS_PROXY: proxy.url });
  const refused = open();
  await t.rejects(refused.service.pull(name, undefined, never), {
    reason: 'REGISTRY_UNAVAILABLE',
    message: new RegExp(`${registry.url} through the proxy ${proxy.url}: the proxy wants other credentials \\(407\\)`),
  });
  const said = images.log.join('') + refused.log.join('') + inspect(refused.service.pulls(), { depth: 9 });
  for (const secret of [SECRET, encodeURIComponent(SECRET), authorization.slice(6)]) t.notOk(said.includes(secret));
});

t.test('NO_PROXY takes the direct way', async (t) => {
  const { name, open } = await secured(t);
  const proxy = await startProxy(t);
  setVariables(t, { https_proxy: proxy.url, no_proxy: '10.209.0.0/16' });
  t.equal(await open().service.pull(name, undefined, never), image.id);
  t.same(proxy.requests, []);
});

t.test('a proxy that itself speaks TLS', async (t) => {
  const { registry, name, open } = await secured(t);
  const authority = makeAuthority(t, 'Proxy Authority');
  const proxy = await startProxy(t, { tls: authority.issue('proxy') });
  setVariables(t, { HTTPS_PROXY: proxy.url, SSL_CERT_FILE: authority.ca });
  t.equal(await open().service.pull(name, undefined, never), image.id);
  t.same(new Set(proxy.requests), new Set([`CONNECT ${registry.host}`]));
  const plain = await startRegistry(t, { address: ADDRESS });
  const files = { [`${plain.host}/hosts.toml`]: hostsFile(plain.url, []) };
  const served = await plain.pushImage('app', '1', image);
  setVariables(t, { HTTP_PROXY: proxy.url });
  t.equal(
    await openImages(t, { hostsDir: hostsDir(t, files) }).service.pull(served, undefined, never),
    image.id,
    'with plain http behind it',
  );
  t.ok(proxy.requests.includes(`GET ${plain.url}/v2/app/manifests/1`));
  setVariables(t, { SSL_CERT_FILE: makeAuthority(t, 'Another').ca });
  await t.rejects(open().service.pull(name, undefined, never), { name: 'RuntimeError', reason: 'REGISTRY_UNAVAILABLE' });
});

t.test('plain http is asked of the proxy with the whole URL; loopback never is', async (t) => {
  const proxy = await startProxy(t, { authorization: `Basic ${Buffer.from('kim:pw').toString('base64')}` });
  const registry = await startRegistry(t, { address: ADDRESS });
  const local = await startRegistry(t);
  const name = await registry.pushImage('app', '1', image);
  const here = await local.pushImage('app', '1', image);
  setVariables(t, { HTTP_PROXY: proxy.url.replace('//', '//kim:pw@'), HTTPS_PROXY: proxy.url });
  const files = { [`${registry.host}/hosts.toml`]: hostsFile(registry.url, []) };
  t.equal(await openImages(t, { hostsDir: hostsDir(t, files) }).service.pull(name, undefined, never), image.id);
  t.ok(proxy.requests.includes(`GET ${registry.url}/v2/app/manifests/1`), proxy.requests.join(', '));
  const before = proxy.requests.length;
  t.equal(await openImages(t).service.pull(here, undefined, never), image.id);
  t.equal(proxy.requests.length, before);
  setVariables(t, { HTTP_PROXY: proxy.url });
  await t.rejects(openImages(t, { hostsDir: hostsDir(t, files) }).service.pull(name, undefined, never), {
    reason: 'REGISTRY_UNAVAILABLE',
    message: /the proxy wants other credentials \(407\)/,
  });
});

t.test('an image is pushed through a proxy too', async (t) => {
  const { registry, open } = await secured(t);
  const proxy = await startProxy(t);
  setVariables(t, { HTTPS_PROXY: proxy.url });
  const other = buildImage({ layers: [{ entries: [{ path: 'c', content: Buffer.alloc(300_000, 7) }], compression: 'none' }] });
  const client = openClient(t, { hostsDir: hostsDir(t, { [`${registry.host}/hosts.toml`]: 'skip_verify = true' }) });
  t.equal(await open().service.pull(await pushBuilt(client, `${registry.host}/other:1`, other), undefined, never), other.id);
  t.same(new Set(proxy.requests), new Set([`CONNECT ${registry.host}`]));
});

t.test('a proxy that refuses, is down or says nothing is named', async (t) => {
  const { registry, name, open } = await secured(t);
  const refusing = await startProxy(t, { refuse: 403 });
  const dead = `http://127.0.0.1:${await freePort()}`;
  const table: [proxy: string, words: string][] = [
    [refusing.url, 'the proxy does not connect to it \\(403\\)'],
    [dead, 'connection refused \\(ECONNREFUSED\\)'],
  ];
  for (const [proxy, words] of table) {
    setVariables(t, { HTTPS_PROXY: proxy });
    await t.rejects(open().service.pull(name, undefined, never), {
      kind: 'unknown',
      reason: 'REGISTRY_UNAVAILABLE',
      message: new RegExp(`${registry.url} through the proxy ${proxy}: ${words}`),
    });
  }
  setVariables(t, { HTTPS_PROXY: 'socks5://kim:s3cr3t@127.0.0.1:1' });
  await t.rejects(open().service.pull(name, undefined, never), {
    kind: 'precondition',
    reason: 'CONFIG_INVALID',
    message: /^the variable HTTPS_PROXY in the daemon’s environment is not the URL of a proxy/,
  });
});

t.test('a redirect goes through the proxy of its own URL', async (t) => {
  const { registry } = await secured(t);
  const proxy = await startProxy(t);
  const local = await startOddRegistry(t, [image], (request, response) => {
    if (request.url?.includes('/blobs/') !== true) return false;
    response.writeHead(307, { location: `${registry.url}/v2/app/blobs/${request.url.split('/').at(-1)}` }).end();
    return true;
  });
  setVariables(t, { HTTPS_PROXY: proxy.url });
  const files = { [`${local.host}/hosts.toml`]: `server = "${local.url}"\nskip_verify = true` };
  t.equal(await openImages(t, { hostsDir: hostsDir(t, files) }).service.pull(`${local.host}/app:0`, undefined, never), image.id);
  t.same(new Set(proxy.requests), new Set([`CONNECT ${registry.host}`]));
});
