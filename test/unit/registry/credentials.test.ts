import t from 'tap';
import { credentialsFor, hostNamed } from '../../../src/registry/credentials.ts';

const none = { username: '', password: '', auth: '', serverAddress: '', identityToken: '', registryToken: '' };
const of = (fields: object, host = 'quay.io') => credentialsFor(host, { ...none, ...fields });
const base64 = (text: string): string => Buffer.from(text).toString('base64');

t.test('which of the credentials count is decided in one order', async (t) => {
  t.equal(of({}), undefined);
  t.equal(credentialsFor('quay.io', undefined), undefined);
  t.same(of({ username: 'u', password: 'p', identityToken: 'i' }), { kind: 'basic', username: 'u', password: 'p' });
  t.same(of({ username: 'u', identityToken: 'i', registryToken: 'r' }), { kind: 'identity', token: 'i' });
  t.same(of({ registryToken: 'r', auth: base64('u:p') }), { kind: 'bearer', token: 'r' });
  t.same(of({ auth: base64('u:p:q') }), { kind: 'basic', username: 'u', password: 'p:q' });
  t.same(of({ auth: base64('u:p\0\0') }), { kind: 'basic', username: 'u', password: 'p' });
  t.same(of({ username: 'u' }), { kind: 'basic', username: 'u', password: '' });
  t.same(of({ username: '<token>', password: 'i' }), { kind: 'identity', token: 'i' });
  t.same(of({ auth: base64('<token>:i') }), { kind: 'identity', token: 'i' });
  t.throws(() => of({ auth: base64('no colon') }), { kind: 'invalid', reason: 'INVALID_ARGUMENT', message: /auth field is not base64/ });
});

t.test('credentials that name another server are not for this one', async (t) => {
  const hub = { registryToken: 'r', serverAddress: 'https://index.docker.io/v1/' };
  t.same(of(hub, 'docker.io'), { kind: 'bearer', token: 'r' });
  t.equal(of(hub), undefined);
  for (const serverAddress of ['quay.io', 'https://quay.io', 'http://QUAY.io/v2/', 'quay.io/org'])
    t.ok(of({ registryToken: 'r', serverAddress }), serverAddress);
  for (const serverAddress of ['quay.io:443', 'evil.example/quay.io', 'https://quay.io.evil.example/'])
    t.notOk(of({ registryToken: 'r', serverAddress }));
  for (const name of ['docker.io', 'index.docker.io', 'https://registry-1.docker.io/v2/']) t.equal(hostNamed(name), 'docker.io');
  t.equal(hostNamed('docker.io.evil.example'), 'docker.io.evil.example');
});
