import t from 'tap';
import { attemptsError } from '../../../src/registry/attempts.ts';
import { credentialsFor } from '../../../src/registry/credentials.ts';
import { endpointsOf, isLoopback } from '../../../src/registry/endpoints.ts';

t.test('a host is asked by https, unless it is this machine or configured', async (t) => {
  const bases = (host: string, ...registries: Parameters<typeof endpointsOf>[1]) => endpointsOf(host, registries).map(({ base }) => base);
  t.same(bases('docker.io'), ['https://registry-1.docker.io']);
  t.same(bases('quay.io'), ['https://quay.io']);
  for (const host of ['localhost', 'localhost:5000', '127.0.0.1:5000', '127.9.9.9', '[::1]:5000'])
    t.same(bases(host), [`http://${host}`], host);
  t.same(bases('127.0.0.1:5000', { host: '127.0.0.1:5000', mirrors: [], plainHttp: false }), ['https://127.0.0.1:5000']);
  t.same(bases('reg:5000', { host: 'REG:5000', mirrors: ['http://m/', 'https://n/path'], plainHttp: true }), [
    'http://m',
    'https://n/path',
    'http://reg:5000',
  ]);
  for (const host of ['128.0.0.1', '127.0.0.1.example.com', 'localhost.example.com', '[::2]:1', '1270.0.0.1'])
    t.notOk(isLoopback(host), host);
});

t.test('which of the credentials count is decided in one order', async (t) => {
  const none = { username: '', password: '', auth: '', serverAddress: '', identityToken: '', registryToken: '' };
  const of = (fields: object, host = 'quay.io') => credentialsFor(host, { ...none, ...fields });
  t.equal(of({}), undefined);
  t.equal(credentialsFor('quay.io', undefined), undefined);
  t.same(of({ username: 'u', password: 'p', identityToken: 'i' }), { kind: 'basic', username: 'u', password: 'p' });
  t.same(of({ identityToken: 'i', registryToken: 'r' }), { kind: 'identity', token: 'i' });
  t.same(of({ registryToken: 'r' }), { kind: 'bearer', token: 'r' });
  t.same(of({ auth: Buffer.from('u:p:q').toString('base64') }), { kind: 'basic', username: 'u', password: 'p:q' });
  t.same(of({ registryToken: 'r', serverAddress: 'https://index.docker.io/v1/' }, 'docker.io'), { kind: 'bearer', token: 'r' });
  t.equal(of({ registryToken: 'r', serverAddress: 'https://index.docker.io/v1/' }), undefined, 'not for another host');
});

t.test('the host’s own answer decides the class of the error; every endpoint is named', async (t) => {
  const mirror = { base: 'http://m', own: false };
  const own = { base: 'https://reg', own: true };
  const error = attemptsError('image x', [
    { endpoint: own, outcome: 'not-found', said: 'answered 404' },
    { endpoint: mirror, outcome: 'unavailable', said: 'connection refused' },
  ]);
  t.match(error, {
    kind: 'not-found',
    reason: 'IMAGE_NOT_IN_REGISTRY',
    message: /^image x: not found \(https:\/\/reg: answered 404; http:\/\/m: connection refused\)/,
  });
  t.match(attemptsError('image x', []), { reason: 'REGISTRY_UNAVAILABLE' });
});
