// The push side of the client against a real registry, and against one that misbehaves.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import t from 'tap';
import { buildImage, digestOf } from '../../../hack/lib/image-builder.ts';
import { isRuntimeError } from '../../../src/errors/index.ts';
import type { Digest } from '../../../src/ids/index.ts';
import type { BlobSource } from '../../../src/registry/index.ts';
import { hostsDir, hostsFile } from '../../fixtures/hosts-dir.ts';
import { openImages } from '../../fixtures/image-service.ts';
import { listen, startOddRegistry } from '../../fixtures/odd-registry.ts';
import { startRegistry } from '../../fixtures/registry.ts';
import { auth, openClient, openPush } from '../../fixtures/registry-client.ts';

const never = new AbortController().signal;
const USER = { user: 'kim', password: 's3cr3t-pässword' };
const image = buildImage({
  layers: [{ entries: [{ path: 'a', content: 'x' }] }, { entries: [{ path: 'b', content: randomBytes(300_000) }] }],
});

/** A blob that comes in pieces; counts how often it is opened. */
function blobOf(bytes: Buffer, opened = { times: 0 }): BlobSource {
  return {
    digest: digestOf(bytes) as Digest,
    size: bytes.length,
    async *open() {
      opened.times += 1;
      for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000);
    },
  };
}

t.test('an image goes to a real registry with a log-in, and can be pulled from there', async (t) => {
  const registry = await startRegistry(t, { auth: USER });
  const credentials = auth({ username: USER.user, password: USER.password });
  const reference = `${registry.host}/pushed/app:1`;
  const push = await openPush(openClient(t), reference, credentials);
  t.equal(push.url, registry.url);
  for (const [digest, bytes] of image.blobs) {
    t.equal(await push.hasBlob(digest as Digest, never), false);
    await push.uploadBlob(blobOf(bytes), never);
    t.equal(await push.hasBlob(digest as Digest, never), true);
  }
  const { bytes, descriptor } = image.manifest;
  await push.putManifest('1', bytes, descriptor.mediaType, never);
  await push.putManifest(descriptor.digest, bytes, descriptor.mediaType, never);
  const images = openImages(t);
  t.equal(await images.service.pull(reference, credentials, never), image.id);
  t.equal(await images.service.pull(`${registry.host}/pushed/app@${descriptor.digest}`, credentials, never), image.id);
});

t.test('what is refused is said in the words of a pull, and without secrets', async (t) => {
  const registry = await startRegistry(t, { auth: USER });
  const [blob] = image.blobs.values();
  for (const credentials of [undefined, auth({ username: 'kim', password: 'wr0ng' })]) {
    const push = await openPush(openClient(t), `${registry.host}/app:1`, credentials);
    const error = await push.uploadBlob(blobOf(blob!), never).catch((thrown: unknown) => thrown);
    t.ok(isRuntimeError(error, 'IMAGE_UNAUTHORIZED') && error.kind === 'denied');
    t.match(String(error), new RegExp(`pushing blob sha256:.* of ${registry.host}/app: access refused.*${registry.url}: `));
    t.notMatch(String(error), /wr0ng/);
  }
  const push = await openPush(openClient(t), `${registry.host}/app:1`, auth({ username: USER.user, password: USER.password }));
  const { bytes, descriptor } = image.manifest;
  await t.rejects(
    push.putManifest('1', bytes, descriptor.mediaType, never),
    { reason: 'REGISTRY_UNAVAILABLE', message: /answered 400 MANIFEST_/ },
    'its blobs are missing',
  );
  const wrong = { ...blobOf(Buffer.from('abc')), digest: digestOf(Buffer.from('abd')) as Digest };
  await t.rejects(push.uploadBlob(wrong, never), { reason: 'REGISTRY_UNAVAILABLE', message: /answered 400 DIGEST_INVALID/ });
  const broken = {
    ...blobOf(Buffer.from('abc')),
    async *open() {
      yield Buffer.from('ab');
      throw new Error('the disk broke');
    },
  };
  await t.rejects(push.uploadBlob(broken, never), { message: 'the disk broke' }, 'an error of reading is not blamed on the registry');
});

t.test('an upload that breaks or is put off is begun again from its first byte', async (t) => {
  const bytes = randomBytes(120_000);
  let puts = 0;
  let received = Buffer.alloc(0);
  const server = createServer(async (request, response) => {
    if (request.method === 'POST') {
      await request.toArray();
      response.writeHead(202, { location: '/upload/1?state=a%2Fb' }).end();
      return;
    }
    puts += 1;
    if (puts === 1) request.once('data', () => request.destroy());
    else {
      received = Buffer.concat(await request.toArray());
      if (puts === 2) response.writeHead(503, { 'retry-after': '0' }).end();
      else response.writeHead(request.url === `/upload/1?state=a%2Fb&digest=${encodeURIComponent(digestOf(bytes))}` ? 201 : 400).end();
    }
  });
  const { port } = await listen(t, server);
  const push = await openPush(openClient(t), `127.0.0.1:${port}/app:1`);
  const opened = { times: 0 };
  await push.uploadBlob(blobOf(bytes, opened), never);
  t.equal(puts, 3);
  t.equal(opened.times, 3);
  t.ok(received.equals(bytes));
});

t.test('the place of an upload at another host gets no credentials', async (t) => {
  const seen: (string | undefined)[] = [];
  const storage = createServer(async (request, response) => {
    seen.push(request.headers.authorization);
    await request.toArray();
    response.writeHead(seen.length === 1 ? 201 : 401, { 'www-authenticate': 'Basic realm="x"' }).end();
  });
  const other = await listen(t, storage);
  const registry = await startOddRegistry(t, [], (request, response) => {
    if (request.headers.authorization === undefined) response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
    else response.writeHead(202, { location: `http://127.0.0.1:${other.port}/upload` }).end();
    return true;
  });
  const push = await openPush(openClient(t), `${registry.host}/app:1`, auth({ username: 'kim', password: 'pw' }));
  await push.uploadBlob(blobOf(Buffer.from('abc')), never);
  await t.rejects(push.uploadBlob(blobOf(Buffer.from('abc')), never), { name: 'RuntimeError', reason: 'IMAGE_UNAUTHORIZED' });
  t.same(seen, [undefined, undefined]);
});

t.test('an image is pushed to the host itself, or to a mirror that is said to take it, and nowhere else', async (t) => {
  const files = (text: string) => openClient(t, { hostsDir: hostsDir(t, { 'reg.example/hosts.toml': text }) });
  const urlOf = async (text: string) => (await openPush(files(text), 'reg.example/app:1')).url;
  t.equal(await urlOf(hostsFile('', [['http://mirror']])), 'https://reg.example');
  t.equal(await urlOf(hostsFile('', [['http://mirror', 'capabilities = ["pull", "push"]']])), 'http://mirror');
  await t.rejects(urlOf('capabilities = ["pull", "resolve"]'), {
    kind: 'precondition',
    reason: 'CONFIG_INVALID',
    message: /pushing to reg\.example\/app: .*none has the capability "push"; give it to one in .*reg\.example\/hosts\.toml/,
  });
});
