// Tokens over a long pull, and credentials of the node: docker's config.json and its helpers.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import t, { type Test } from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import { hostsDir, hostsFile } from '../../fixtures/hosts-dir.ts';
import { openImages } from '../../fixtures/image-service.ts';
import { startOddRegistry } from '../../fixtures/odd-registry.ts';
import { setVariables } from '../../fixtures/proxy.ts';
import { startRegistry } from '../../fixtures/registry.ts';
import { auth, openClient, openPush } from '../../fixtures/registry-client.ts';
import { startTokenRegistry } from '../../fixtures/token-server.ts';

const never = new AbortController().signal;
const layer = (name: string) => ({ entries: [{ path: name, content: name }] });
const image = buildImage({ layers: ['a', 'b', 'c', 'd'].map(layer) });
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const USER = { user: 'kim', password: 's3cr3t-pässword' };

t.test('layers that meet an expired token at once share one renewal', async (t) => {
  let revoked = false;
  const registry = await startTokenRegistry(t, [image], {
    intercept(request) {
      if (!revoked && request.url?.includes(image.id) === true) {
        revoked = true;
        queueMicrotask(() => registry.revoke());
      }
      return false;
    },
  });
  t.equal(await openImages(t).service.pull(`${registry.host}/app:0`, undefined, never), image.id);
  t.ok(revoked);
  t.ok(registry.asked.length <= 3, `a log-in and a renewal, or two that did not meet: ${registry.asked.length}`);
  t.same(new Set(registry.asked), new Set(['GET scope=repository:app:pull service=reg']));
});

t.test('a token about to expire is renewed before it is used, without another refusal', async (t) => {
  const registry = await startTokenRegistry(t, [image], { expiresIn: 1 });
  t.equal(await openImages(t).service.pull(`${registry.host}/app:0`, undefined, never), image.id);
  t.ok(registry.asked.length > 1);
  const refused = registry.requests.length - registry.asked.length - (image.layers.length + 2);
  t.equal(refused, 1, 'only the first request went without');
});

t.test('a refresh token is posted, and used as a password where the server has no such way', async (t) => {
  const allows = (authorization: string | undefined, form: URLSearchParams): boolean =>
    form.get('refresh_token') === 'r3fr3sh' || authorization === `Basic ${base64(':r3fr3sh')}`;
  const credentials = auth({ identityToken: 'r3fr3sh' });
  for (const postStatus of [undefined, 404, 405]) {
    const registry = await startTokenRegistry(t, [image], { allows, ...(postStatus === undefined ? {} : { postStatus }) });
    t.equal(await openImages(t).service.pull(`${registry.host}/app:0`, credentials, never), image.id);
    t.same(
      registry.asked.slice(0, 2).map((line) => line.split(' ')[0]),
      postStatus === undefined ? ['POST'] : ['POST', 'GET'],
    );
  }
  for (const postStatus of [undefined, 401, 500]) {
    const registry = await startTokenRegistry(t, [image], { allows: () => false, ...(postStatus === undefined ? {} : { postStatus }) });
    const error = await openImages(t)
      .service.pull(`${registry.host}/app:0`, credentials, never)
      .catch((thrown: unknown) => thrown);
    t.match(error, {
      reason: postStatus === 500 ? 'REGISTRY_UNAVAILABLE' : 'IMAGE_UNAUTHORIZED',
      message: /its token server 127\.0\.0\.1:[0-9]+ (refuses the credentials given \(401\)|answered 500)/,
    });
    t.notMatch(String(error), /r3fr3sh/);
  }
});

t.test('a push asks for a token that pushes, once', async (t) => {
  const registry = await startTokenRegistry(t, [image]);
  const push = await openPush(openClient(t), `${registry.host}/app:1`);
  t.equal(await push.hasBlob(image.id as Parameters<typeof push.hasBlob>[0], never), true);
  t.equal(await push.hasBlob(`sha256:${'0'.repeat(64)}` as Parameters<typeof push.hasBlob>[0], never), false);
  t.same(registry.asked, ['GET scope=repository:app:pull,push service=reg']);
});

t.test('what docker login left serves pulls that bring nothing, and is read anew each time', async (t) => {
  const registry = await startRegistry(t, { auth: USER });
  const name = await registry.pushImage('private/app', '1', image);
  const { file, write } = dockerConfig(t);
  const images = openImages(t, { dockerConfig: file });
  const right = { auth: base64(`${USER.user}:${USER.password}`) };
  await t.rejects(images.service.pull(name, undefined, never), { name: 'RuntimeError', reason: 'IMAGE_UNAUTHORIZED' }, 'no file');
  for (const key of [registry.host, `http://${registry.host}`, `https://${registry.host}/v1/`]) {
    write({ auths: { [key]: right } });
    t.equal(await images.service.pull(name, undefined, never), image.id, key);
  }
  write({ auths: { [registry.host]: { username: USER.user, password: USER.password } } });
  t.equal(
    await images.service.pull(name, auth({ username: 'x', password: 'y', serverAddress: 'elsewhere.example' }), never),
    image.id,
    'those of the pull are for another server',
  );
  const wrong = auth({ username: USER.user, password: 'wr0ng' });
  await t.rejects(
    images.service.pull(name, wrong, never),
    { name: 'RuntimeError', reason: 'IMAGE_UNAUTHORIZED' },
    'those of the pull count',
  );
  write({ auths: { 'elsewhere.example': right } });
  await t.rejects(images.service.pull(name, undefined, never), { name: 'RuntimeError', reason: 'IMAGE_UNAUTHORIZED' });
  writeFileSync(file, '{');
  await t.rejects(images.service.pull(name, undefined, never), {
    kind: 'precondition',
    reason: 'CONFIG_INVALID',
    message: new RegExp(`^${file}: it is not JSON`),
  });
  t.notMatch(images.log.join(''), /s3cr3t|wr0ng/);
});

t.test('credentials in another form: a refresh token and a token for the registry itself', async (t) => {
  const { file, write } = dockerConfig(t);
  const registry = await startTokenRegistry(t, [image], { allows: (_header, form) => form.get('refresh_token') === 'r3fr3sh' });
  const images = openImages(t, { dockerConfig: file });
  write({ auths: { [registry.host]: { auth: base64('0000:'), identitytoken: 'r3fr3sh' } } });
  t.equal(await images.service.pull(`${registry.host}/app:0`, undefined, never), image.id);
  write({ auths: { [registry.host]: { registrytoken: 't0k3n-1' } } });
  t.equal(await images.service.pull(`${registry.host}/app:0`, undefined, never), image.id);
  write({ auths: { [registry.host]: { registrytoken: 'n0' } } });
  await t.rejects(images.service.pull(`${registry.host}/app:0`, undefined, never), {
    reason: 'IMAGE_UNAUTHORIZED',
    message: new RegExp(`answered 401 to the credentials of ${file}`),
  });
});

t.test('helpers: of the host before the file before that of all; what they keep is never shown', async (t) => {
  const registry = await startRegistry(t, { auth: USER });
  const name = await registry.pushImage('private/app', '1', image);
  const { file, write, helper, calls } = dockerConfig(t);
  const images = openImages(t, { dockerConfig: file });
  const answer = (secret: string): string => `echo '${JSON.stringify({ ServerURL: registry.host, Username: USER.user, Secret: secret })}'`;
  const pull = (): Promise<string> => images.service.pull(name, undefined, never);
  helper('good', answer(USER.password));
  helper('bad', answer('wr0ng-s3cr3t'));
  helper('empty', 'echo credentials not found in native keychain; exit 1');
  const right = { auths: { [registry.host]: { auth: base64(`${USER.user}:${USER.password}`) } } };
  const wrong = { auths: { [registry.host]: { auth: base64(`${USER.user}:wr0ng-s3cr3t`) } } };
  for (const document of [
    { ...wrong, credHelpers: { [registry.host]: 'good' }, credsStore: 'bad' },
    { ...right, credHelpers: { [registry.host]: 'empty' }, credsStore: 'bad' },
    { ...right, credsStore: 'bad' },
    { auths: { [registry.host]: {} }, credsStore: 'good' },
    { credHelpers: { 'elsewhere.example': 'bad' }, credsStore: 'good' },
  ]) {
    write(document);
    t.equal(await pull(), image.id, JSON.stringify(Object.keys(document)));
  }
  t.same(
    new Set(calls()),
    new Set([`get ${registry.host} HOME=${process.env.HOME} LEAK=`]),
    'asked for the host, with HOME and PATH alone',
  );
  write({ credsStore: 'empty' });
  await t.rejects(pull(), { reason: 'IMAGE_UNAUTHORIZED', message: /none were given for it/ });
  const broken: [script: string, message: RegExp][] = [
    [
      'echo s3cr3t-in-an-error >&2; echo s3cr3t; exit 3',
      /the credential helper docker-credential-broken, which .*config\.json names, failed with exit code 3; try it by hand: echo 127\.0\.0\.1:[0-9]+ \| docker-credential-broken get/,
    ],
    ['echo s3cr3t', /answered something else than credentials/],
    [`echo '{"Username":"s3cr3t"}'`, /answered something else than credentials/],
    ['kill -9 $$', /was ended by signal/],
  ];
  write({ credsStore: 'broken' });
  for (const [script, message] of broken) {
    helper('broken', script);
    await t.rejects(pull(), { kind: 'denied', reason: 'IMAGE_UNAUTHORIZED', message });
  }
  write({ credsStore: 'missing' });
  await t.rejects(pull(), { reason: 'IMAGE_UNAUTHORIZED', message: /docker-credential-missing, which .* names, is not in PATH/ });
  t.notMatch(images.log.join('') + inspect(images.service.pulls(), { depth: 9 }), /s3cr3t/);
});

t.test('a helper runs only when somebody asks who we are', async (t) => {
  const registry = await startRegistry(t);
  const name = await registry.pushImage('open/app', '1', image);
  const { file, write, helper, calls } = dockerConfig(t);
  helper('good', 'exit 1');
  write({ credsStore: 'good' });
  t.equal(await openImages(t, { dockerConfig: file }).service.pull(name, undefined, never), image.id);
  t.same(calls(), []);
});

t.test('the user <token> of a helper is a refresh token', async (t) => {
  const registry = await startTokenRegistry(t, [image], { allows: (_header, form) => form.get('refresh_token') === 'r3fr3sh' });
  const { file, write, helper } = dockerConfig(t);
  helper('acr', `echo '{"Username":"<token>","Secret":"r3fr3sh"}'`);
  write({ credHelpers: { [registry.host]: 'acr' } });
  t.equal(await openImages(t, { dockerConfig: file }).service.pull(`${registry.host}/app:0`, undefined, never), image.id);
});

t.test('a mirror has credentials of its own, and never those of the pull or of the host', async (t) => {
  const { file, write } = dockerConfig(t);
  const seen: (string | undefined)[] = [];
  const mirror = await startOddRegistry(t, [image], (request, response) => {
    seen.push(request.headers.authorization);
    if (request.headers.authorization === `Basic ${base64('mirror:pw')}`) return false;
    response.writeHead(401, { 'www-authenticate': 'Basic realm="m"' }).end();
    return true;
  });
  const registry = await startOddRegistry(t, []);
  const images = openImages(t, {
    dockerConfig: file,
    hostsDir: hostsDir(t, { [`${registry.host}/hosts.toml`]: hostsFile(registry.url, [[mirror.url]]) }),
  });
  const credentials = auth({ username: 'kim', password: 'pw' });
  write({ auths: { [registry.host]: { auth: base64('host:pw') }, [mirror.host]: { auth: base64('mirror:pw') } } });
  t.equal(await images.service.pull(`${registry.host}/app:0`, credentials, never), image.id);
  write({ auths: { [registry.host]: { auth: base64('host:pw') } } });
  await t.rejects(images.service.pull(`${registry.host}/app:0`, credentials, never), {
    name: 'RuntimeError',
    reason: 'IMAGE_NOT_IN_REGISTRY',
  });
  t.same(new Set(seen), new Set([undefined, `Basic ${base64('mirror:pw')}`]));
});

/** A config.json of the test's own, and helpers that are found in PATH. */
function dockerConfig(t: Test) {
  const dir = mkdtempSync(join(tmpdir(), 'berth-docker-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const [file, bin, log] = [join(dir, 'config.json'), join(dir, 'bin'), join(dir, 'calls')] as const;
  mkdirSync(bin);
  writeFileSync(log, '');
  setVariables(t, { PATH: `${bin}:${process.env.PATH}`, LEAK: 'yes' });
  return {
    file,
    write: (document: object): void => writeFileSync(file, JSON.stringify(document)),
    /** Writes docker-credential-NAME, which notes how it was called and then does `script`. */
    helper(name: string, script: string): void {
      const path = join(bin, `docker-credential-${name}`);
      writeFileSync(path, `#!/bin/sh\necho "$1 $(cat) HOME=$HOME LEAK=$LEAK" >>${log}\n${script}\n`);
      chmodSync(path, 0o755);
    },
    calls: (): string[] =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line !== ''),
  };
}
