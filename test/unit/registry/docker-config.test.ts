import t from 'tap';
import { isRuntimeError } from '../../../src/errors/index.ts';
import { dockerEntry, parseDockerConfig } from '../../../src/registry/docker-config.ts';

const FILE = '/root/.docker/config.json';
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const entry = (document: object, host: string) => dockerEntry(parseDockerConfig(JSON.stringify(document), FILE), host);

t.test('a host is found under every form of its name, the plain one first', async (t) => {
  const auths = {
    'https://reg.example/v2/': { auth: base64('url:1') },
    'reg.example': { auth: base64('plain:1') },
    'http://Other.example:5000': { auth: base64('other:1') },
    'https://index.docker.io/v1/': { auth: base64('hub:1') },
  };
  const user = (host: string) => {
    const { credentials } = entry({ auths }, host);
    return credentials?.kind === 'basic' ? credentials.username : undefined;
  };
  t.equal(user('reg.example'), 'plain');
  t.equal(user('other.example:5000'), 'other');
  t.equal(user('docker.io'), 'hub');
  for (const host of ['reg.example:443', 'example', 'evil.reg.example', 'constructor']) t.equal(user(host), undefined, host);
});

t.test('every form of credentials, in one order', async (t) => {
  const of = (auth: object) => entry({ auths: { r: auth } }, 'r').credentials;
  t.equal(of({}), undefined, 'docker leaves this where a store has the secret');
  t.same(of({ auth: base64('u:p:q') }), { kind: 'basic', username: 'u', password: 'p:q' });
  t.same(of({ username: 'u', password: 'p' }), { kind: 'basic', username: 'u', password: 'p' });
  t.same(of({ auth: base64('0000:'), identitytoken: 'i', registrytoken: 'r' }), { kind: 'identity', token: 'i' });
  t.same(of({ auth: base64('u:p'), registrytoken: 'r' }), { kind: 'bearer', token: 'r' });
  t.same(of({ username: '<token>', password: 'i' }), { kind: 'identity', token: 'i' });
});

t.test('helpers: of the host, and of all', async (t) => {
  const document = { credHelpers: { 'https://reg.example': 'ecr-login', 'docker.io': 'hub' }, credsStore: 'pass' };
  t.same(entry(document, 'reg.example'), { ownHelper: 'ecr-login', credentials: undefined, store: 'pass' });
  t.match(entry(document, 'docker.io'), { ownHelper: 'hub' });
  t.match(entry(document, 'x'), { ownHelper: undefined, store: 'pass' });
  t.match(entry({ credsStore: '' }, 'x'), { store: undefined });
});

t.test('what is broken is named by file and key, without its value, and stands in the way of its own host only', async (t) => {
  const refused = (text: string, message: RegExp) => {
    let error: unknown;
    try {
      dockerEntry(parseDockerConfig(text, FILE), 'r');
    } catch (thrown) {
      error = thrown;
    }
    t.ok(isRuntimeError(error, 'CONFIG_INVALID') && error.kind === 'precondition', text);
    t.match(String(error), message);
    t.notMatch(String(error), /s3cr3t/);
  };
  refused('s3cr3t', /\/root\/\.docker\/config\.json: it is not JSON; correct it/);
  refused('["s3cr3t"]', /it is not a JSON object/);
  refused('{"auths": "s3cr3t"}', /auths is not an object/);
  refused('{"credHelpers": []}', /credHelpers is not an object/);
  refused('{"auths": {"r": "s3cr3t"}}', /auths\."r" is not an object/);
  refused(
    `{"auths": {"https://r/v1/": {"auth": "${base64('s3cr3t')}"}}}`,
    /auths\."https:\/\/r\/v1\/"\.auth is not base64 of NAME:PASSWORD/,
  );
  refused('{"credHelpers": {"r": "../s3cr3t"}}', /credHelpers\."r" is not the name of a helper/);
  refused('{"credsStore": "a b"}', /credsStore is not the name of a helper/);
  const others = { auths: { broken: { auth: '!' } }, credHelpers: { broken: '/bin/sh' } };
  t.same(entry(others, 'r'), { ownHelper: undefined, credentials: undefined, store: undefined });
});
