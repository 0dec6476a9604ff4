/** Pulls at the same time: how many downloads run at once, which are one, and whose failure is whose. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import t, { type Test } from 'tap';
import { type BuiltImage, buildImage, digestOf } from '../../../hack/lib/image-builder.ts';
import type { RegistryAuth } from '../../../src/image/index.ts';
import { until } from '../../fixtures/eventually.ts';
import { openImages, type TestImages } from '../../fixtures/image-service.ts';
import { startOddRegistry } from '../../fixtures/odd-registry.ts';

const never = new AbortController().signal;
const transfer = { openMs: 20_000, floorBytesPerSecond: 1, windowMs: 20_000, attempts: 2, backoffMs: 5, backoffLimitMs: 10 };

const file = (path: string, content: string | Buffer = path) => ({ entries: [{ path, content }] });
const SHARED = file('shared', randomBytes(100_000));
/** Two images with a layer in common; tags 0 and 1. */
const PAIR = [buildImage({ layers: [SHARED, file('one')] }), buildImage({ layers: [SHARED, file('two')] })];
const LAYER = PAIR[0]!.layers[0]!.digest;

const as = (username: string): RegistryAuth => ({
  username,
  password: 'p',
  auth: '',
  serverAddress: '',
  identityToken: '',
  registryToken: '',
});
const userOf = (request: IncomingMessage): string =>
  Buffer.from(request.headers.authorization?.replace('Basic ', '') ?? '', 'base64')
    .toString()
    .split(':')[0] ?? '';

/** How often somebody waited for another's download of a layer. */
const joins = (images: TestImages): number => images.transfers.filter((event) => event.kind === 'joined' && event.what === 'layer').length;

type Answer = (asked: { request: IncomingMessage; response: ServerResponse; user: string; count: number }) => boolean;

/** A registry that wants to know who asks; the first request for the shared layer is answered when a second pull waits for it. */
async function scene(t: Test, built: readonly BuiltImage[], answer: Answer) {
  const images = openImages(t, { transfer });
  const users: string[] = [];
  const registry = await startOddRegistry(t, built, async (request, response) => {
    const user = userOf(request);
    if (user === '') {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
      return true;
    }
    if (request.url?.endsWith(LAYER) !== true) return false;
    users.push(user);
    const count = users.length;
    if (count === 1) await until(() => joins(images) > 0, 'the other pull waits for the layer');
    return answer({ request, response, user, count });
  });
  return { images, users, host: registry.host };
}

t.test('so many downloads at once as configured, over all pulls', async (t) => {
  const built = [0, 1, 2].map((pull) => buildImage({ layers: [file(`${pull}a`), file(`${pull}b`)] }));
  const layers = new Set(built.flatMap((image) => image.layers.map(({ digest }) => digest)));
  let [active, most] = [0, 0];
  const go = Promise.withResolvers<void>();
  const registry = await startOddRegistry(t, built, async (request, response) => {
    if (!layers.has(request.url?.split('/').at(-1) ?? '')) return false;
    active += 1;
    most = Math.max(most, active);
    if (active === 2) go.resolve();
    await go.promise;
    await new Promise((resolve) => setTimeout(resolve, 30)); // a third would come now
    response.once('finish', () => {
      active -= 1;
    });
    return false;
  });
  const images = openImages(t, { transfer, parallelDownloads: 2 });
  const ids = await Promise.all(built.map((_, tag) => images.service.pull(`${registry.host}/app:${tag}`, undefined, never)));
  t.same(
    ids,
    built.map(({ id }) => id),
  );
  t.equal(most, 2);
});

t.test('a layer that two pulls need is downloaded once, and shown by both', async (t) => {
  const { images, users, host } = await scene(t, PAIR, () => false);
  const pulls = [0, 1].map((tag) => images.service.pull(`${host}/app${tag}:${tag}`, as(`user${tag}`), never));
  t.same(
    await Promise.all(pulls),
    PAIR.map(({ id }) => id),
  );
  t.equal(users.length, 1);
  t.match(
    images.events.map((event) => ('layersPulled' in event ? [event.layersPulled, event.layersShared] : event)).sort(),
    [
      [1, 1],
      [2, 0],
    ],
    'it counts for the one that brought it',
  );
  for (const pull of images.service.pulls()) t.match(pull.layers, [{ digest: LAYER, state: 'done', source: host }, { state: 'done' }]);
});

t.test('what one is refused another may be given', async (t) => {
  for (const [status, reason] of [
    [403, 'IMAGE_UNAUTHORIZED'],
    [404, 'IMAGE_NOT_IN_REGISTRY'],
    [401, 'IMAGE_UNAUTHORIZED'],
  ] as const) {
    const { images, users, host } = await scene(t, PAIR, ({ response, user }) => {
      if (user === 'good') return false;
      response.writeHead(status).end();
      return true;
    });
    const refused = images.service.pull(`${host}/app:0`, as('bad'), never);
    await until(() => users.length === 1, 'the one without rights began it');
    const given = images.service.pull(`${host}/app:1`, as('good'), never);
    await t.rejects(refused, { name: 'RuntimeError', reason }, `${status}`);
    t.equal(await given, PAIR[1]?.id);
    t.same(new Set(users), new Set(['bad', 'good']));
    t.match(images.service.pulls().at(-1)?.layers, [{ digest: LAYER, state: 'done' }, {}], 'the second download is the one shown');
  }
});

t.test('what one is refused its equal is not asked for again', async (t) => {
  const { images, users, host } = await scene(t, PAIR, ({ response }) => {
    response.writeHead(403).end();
    return true;
  });
  const outcomes = await Promise.allSettled([0, 1].map((tag) => images.service.pull(`${host}/app:${tag}`, as('bad'), never)));
  for (const outcome of outcomes) t.match(outcome, { status: 'rejected', reason: { reason: 'IMAGE_UNAUTHORIZED' } });
  t.equal(users.length, 1);
});

t.test('a registry that fails has failed for all who ask it', async (t) => {
  const { images, users, host } = await scene(t, PAIR, ({ response }) => {
    response.writeHead(503).end();
    return true;
  });
  const outcomes = await Promise.allSettled([0, 1].map((tag) => images.service.pull(`${host}/app${tag}:${tag}`, as(`user${tag}`), never)));
  for (const outcome of outcomes) t.match(outcome, { status: 'rejected', reason: { reason: 'REGISTRY_UNAVAILABLE' } });
  t.equal(users.length, transfer.attempts, 'the attempts of one');
});

t.test('the one that began a download may leave it to the others', async (t) => {
  const caller = new AbortController();
  const { images, users, host } = await scene(t, PAIR, () => {
    caller.abort();
    return false;
  });
  const left = images.service.pull(`${host}/app:0`, as('a'), caller.signal);
  await until(() => users.length === 1, 'it began');
  const stayed = images.service.pull(`${host}/app:1`, as('b'), never);
  await t.rejects(left, { name: 'RuntimeError', reason: 'CANCELLED' });
  t.equal(await stayed, PAIR[1]?.id);
  t.equal(users.length, 1);
});

/** `image` with a config that claims other diffIDs for its layers. */
function claiming(image: BuiltImage, diffIds: string[]): BuiltImage {
  const config = JSON.parse(String(image.blobs.get(image.id)));
  const bytes = Buffer.from(JSON.stringify({ ...config, rootfs: { type: 'layers', diff_ids: diffIds } }));
  const id = digestOf(bytes);
  const manifest = JSON.parse(String(image.manifest.bytes));
  const manifestBytes = Buffer.from(JSON.stringify({ ...manifest, config: { ...manifest.config, digest: id, size: bytes.length } }));
  const descriptor = { ...image.manifest.descriptor, digest: digestOf(manifestBytes), size: manifestBytes.length };
  return { ...image, id, blobs: new Map([...image.blobs, [id, bytes]]), manifest: { bytes: manifestBytes, descriptor } };
}

t.test('an image that lies about its layers does no harm to one that does not', async (t) => {
  const honest = buildImage({ layers: [SHARED] });
  const liars = {
    'another blob as the same layer': claiming(buildImage({ layers: [file('junk')] }), honest.diffIds),
    'the same blob as another layer': claiming(honest, [digestOf(Buffer.from('x'))]),
  };
  for (const [what, liar] of Object.entries(liars)) {
    const go = Promise.withResolvers<void>();
    const digest = liar.layers[0]!.digest;
    let held = false;
    const registry = await startOddRegistry(t, [liar, honest], async (request) => {
      if (held || request.url?.endsWith(digest) !== true) return false;
      held = true;
      await go.promise;
      return false;
    });
    const images = openImages(t, { transfer });
    const lying = images.service.pull(`${registry.host}/liar:0`, undefined, never);
    await until(() => held, 'the liar’s layer was asked for');
    t.equal(await images.service.pull(`${registry.host}/app:1`, undefined, never), honest.id, what);
    go.resolve();
    await t.rejects(lying, { reason: 'IMAGE_DIGEST', message: /config says/ }, what);
    t.match(images.service.list(), [{ id: honest.id }]);
  }
});
