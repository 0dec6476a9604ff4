import t from 'tap';
import { attemptsError } from '../../../src/registry/attempts.ts';
import { endpointsOf } from '../../../src/registry/endpoints.ts';
import { parseHostsFile } from '../../../src/registry/hosts-file.ts';
import { isLoopbackHost } from '../../../src/registry/loopback.ts';
import { NO_TLS_SETTINGS } from '../../../src/registry/trust.ts';

/** The endpoints of `host` by a file's text. */
function endpoints(host: string, text: string, isDefault = false) {
  const { hosts, server } = parseHostsFile(text, '/certs.d/x/hosts.toml');
  const loaded = (entry: typeof server) => ({ entry, tls: { ...NO_TLS_SETTINGS, verify: !entry.skipVerify } });
  return endpointsOf(host, { source: '/certs.d/x/hosts.toml', isDefault, hosts: hosts.map(loaded), server: loaded(server) });
}

t.test('without a file a host is asked by https under its own name, this machine by http', async (t) => {
  const only = (host: string) =>
    endpointsOf(host, undefined).map(({ url, api, own, namespace, source }) => ({ url, api, own, namespace, source }));
  const at = (url: string) => [{ url, api: `${url}/v2`, own: true, namespace: undefined, source: 'default' }];
  t.same(only('docker.io'), at('https://registry-1.docker.io'));
  t.same(only('quay.io'), at('https://quay.io'));
  for (const host of ['localhost', 'localhost:5000', '127.0.0.1:5000', '127.9.9.9', '[::1]:5000'])
    t.same(only(host), at(`http://${host}`), host);
  for (const host of ['128.0.0.1', '127.0.0.1.example.com', 'localhost.example.com', '[::2]:1', '1270.0.0.1'])
    t.notOk(isLoopbackHost(host), host);
});

t.test('the path rule is containerd’s: /v2 is added unless it is there or the path is to be taken as it is', async (t) => {
  const text = `
    [host."https://a"]
    [host."http://b:5000/"]
    [host."https://c/v2"]
    [host."https://d/some/path/"]
    [host."https://e/some/path"]
    override_path = true
    [host."https://f"]
    override_path = true
    [host."g.example:1"]`;
  t.same(
    endpoints('reg.example', text).map(({ url, api, namespace }) => [url, api, namespace]),
    [
      ['https://a', 'https://a/v2', 'reg.example'],
      ['http://b:5000', 'http://b:5000/v2', 'reg.example'],
      ['https://c/v2', 'https://c/v2', 'reg.example'],
      ['https://d/some/path', 'https://d/some/path/v2', 'reg.example'],
      ['https://e/some/path', 'https://e/some/path', 'reg.example'],
      ['https://f', 'https://f', 'reg.example'],
      ['https://g.example:1', 'https://g.example:1/v2', 'reg.example'],
      ['https://reg.example', 'https://reg.example/v2', undefined],
    ],
  );
});

t.test('who is the host itself, and gets the credentials of a pull', async (t) => {
  const own = (host: string, text: string, isDefault = false) =>
    endpoints(host, text, isDefault).map((each) => [each.url, each.own, each.namespace]);
  t.same(own('docker.io', 'server = "https://docker.io"\n[host."https://mirror.gcr.io"]'), [
    ['https://mirror.gcr.io', false, 'docker.io'],
    ['https://registry-1.docker.io', true, undefined],
  ]);
  t.same(own('reg:5000', 'server = "http://reg:5000"'), [['http://reg:5000', true, undefined]]);
  t.same(
    own('reg', 'server = "https://10.0.0.5:5000"'),
    [['https://10.0.0.5:5000', true, 'reg']],
    'the host’s own file says it lives there',
  );
  t.same(own('reg', 'server = "https://cache"', true), [['https://cache', false, 'reg']], 'a server for all hosts is a mirror');
  t.same(own('cache', 'server = "https://cache"', true), [['https://cache', true, undefined]]);
  t.same(own('reg:443', '[host."https://reg"]\n[host."https://reg:444"]'), [
    ['https://reg', true, undefined],
    ['https://reg:444', false, 'reg:443'],
  ]);
  t.same(own('reg', '[host."https://reg"]\nfallback = "never"'), [['https://reg', true, undefined]], 'named twice is asked once');
});

t.test('what an endpoint may be asked for when its file says nothing', async (t) => {
  const may = (text: string) => endpoints('reg', text).map(({ capabilities }) => [...capabilities]);
  t.same(may('[host."https://m"]'), [
    ['pull', 'resolve'],
    ['pull', 'resolve', 'push'],
  ]);
  t.same(may('capabilities = ["pull"]\n[host."https://m"]\ncapabilities = ["Push"]'), [['push'], ['pull']]);
});

t.test('certificates for a loopback host mean TLS', async (t) => {
  t.equal(endpoints('127.0.0.1:5000', '')[0]?.url, 'http://127.0.0.1:5000');
  t.equal(endpoints('127.0.0.1:5000', 'skip_verify = true')[0]?.url, 'https://127.0.0.1:5000');
  t.equal(endpoints('127.0.0.1:5000', 'server = "http://127.0.0.1:5000"\nskip_verify = true')[0]?.url, 'http://127.0.0.1:5000');
});

t.test('the host’s own answer decides the class of the error; every endpoint, proxy and file is named', async (t) => {
  const mirror = { url: 'http://m', own: false, source: '/certs.d/reg/hosts.toml' };
  const own = { url: 'https://reg', own: true, source: '/certs.d/reg/hosts.toml' };
  const error = attemptsError('image x', [
    { endpoint: own, proxy: undefined, refusal: { failure: '404', said: 'answered 404', transient: false } },
    { endpoint: mirror, proxy: 'http://p:3128', refusal: { failure: '5xx', said: 'answered 429', transient: true } },
  ]);
  t.match(error, {
    kind: 'not-found',
    reason: 'IMAGE_NOT_IN_REGISTRY',
    message:
      'image x: not found (https://reg: answered 404; http://m through the proxy http://p:3128: answered 429; endpoints of /certs.d/reg/hosts.toml); check the name and the tag',
    detail: { endpoints: ['https://reg', 'http://m'] },
  });
  t.match(attemptsError('image x', []), { reason: 'REGISTRY_UNAVAILABLE' });
});
