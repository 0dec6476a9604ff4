/** What was downloaded of a layer when its pull ended early is gone on with by the next pull, and never trusted. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import { mountTmpfs, unmount } from '../../../src/sys/index.ts';
import { until } from '../../fixtures/eventually.ts';
import { keptParts, openImages, type TestImages } from '../../fixtures/image-service.ts';
import { type OddRegistry, startOddRegistry } from '../../fixtures/odd-registry.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const never = new AbortController().signal;
const transfer = { openMs: 20_000, floorBytesPerSecond: 1, windowMs: 20_000, attempts: 1, backoffMs: 5, backoffLimitMs: 10 };
const CUT = 100_000;
const content = randomBytes(300_000);
const image = buildImage({ layers: [{ entries: [{ path: 'big', content }] }] });
const LAYER = image.layers[0]!;
const BLOB = image.blobs.get(LAYER.digest)!;

interface Scene {
  images: TestImages;
  registry: OddRegistry;
  name: string;
  /** The Range header, or 'all', of each request for the layer. */
  asked: string[];
  /** The layer's answer ends after this many bytes, while it is set. */
  cutAfter: number | undefined;
}

/** A store, and a registry whose answer for the layer ends early; when it does not `hold`, it fails from then on. */
async function scene(t: Test, { hold = false, root }: { hold?: boolean; root?: string } = {}): Promise<Scene> {
  const asked: string[] = [];
  const registry = await startOddRegistry(t, [image], async (request, response) => {
    if (request.url?.endsWith(LAYER.digest) !== true) return false;
    asked.push(request.headers.range ?? 'all');
    if (made.cutAfter === undefined) return false;
    if (asked.length > 1) {
      response.writeHead(503).end();
      return true;
    }
    response.on('error', () => undefined);
    response.writeHead(200, { 'content-length': BLOB.length }).write(BLOB.subarray(0, made.cutAfter));
    await until(() => images.service.pulls().at(-1)?.layers[0]?.downloadedBytes === made.cutAfter, 'the first bytes are there');
    if (!hold) response.destroy();
    return true;
  });
  const images = openImages(t, { transfer, ...(root === undefined ? {} : { root }) });
  const made: Scene = { images, registry, name: `${registry.host}/app:0`, asked, cutAfter: CUT };
  return made;
}

const partOf = ({ images }: Pick<Scene, 'images'>): string => join(images.root, 'content/parts', `${LAYER.digest.slice(7)}.part`);

/** The image is whole: its one layer's file is what was built. */
function isWhole(t: Test, { images }: Scene): void {
  const [layer = ''] = images.service.hold(images.service.list()[0]!.id, 'test');
  t.ok(readFileSync(join(layer, 'big')).equals(content));
  t.same(keptParts(images), [], 'no part is left');
}

t.test('a pull that failed is gone on with where it was, also after a restart', async (t) => {
  for (const restarts of [false, true]) {
    const made = await scene(t);
    await t.rejects(made.images.service.pull(made.name, undefined, never), { name: 'RuntimeError', reason: 'REGISTRY_UNAVAILABLE' });
    t.same(keptParts(made.images), [LAYER.digest]);
    if (restarts) await made.images.restart();
    made.cutAfter = undefined;
    t.equal(await made.images.service.pull(made.name, undefined, never), image.id);
    t.same(made.asked, ['all', `bytes=${CUT}-`, `bytes=${CUT}-`]);
    t.match(made.images.service.pulls().at(-1)?.layers, [{ state: 'done', downloadedBytes: BLOB.length, resumedBytes: CUT }]);
    const received = made.images.transfers
      .filter((event) => event.kind === 'received')
      .map((event) => ('bytes' in event ? event.bytes : 0));
    t.equal(
      received.reduce((sum, bytes) => sum + bytes, 0),
      BLOB.length,
      'no byte came twice',
    );
    isWhole(t, made);
  }
});

t.test('a pull that its caller gave up is gone on with, too', async (t) => {
  const made = await scene(t, { hold: true });
  const caller = new AbortController();
  const pulling = made.images.service.pull(made.name, undefined, caller.signal);
  await until(() => made.images.service.pulls()[0]?.layers[0]?.downloadedBytes === CUT, 'the first bytes are there');
  caller.abort();
  await t.rejects(pulling, { name: 'RuntimeError', reason: 'CANCELLED' });
  made.cutAfter = undefined;
  // At once: what the first one is still giving back is waited for.
  t.equal(await made.images.service.pull(made.name, undefined, never), image.id);
  t.same(made.asked, ['all', `bytes=${CUT}-`]);
  isWhole(t, made);
});

t.test('what is there is hashed like all the rest', async (t) => {
  const flipped = Buffer.from(BLOB);
  flipped[10] = flipped[10]! ^ 1;
  const cases: Record<string, { part: Buffer; asked: string[] }> = {
    'the whole blob': { part: BLOB, asked: [] },
    'bytes that are others': { part: flipped.subarray(0, CUT), asked: [`bytes=${CUT}-`, 'all'] },
    'zeros, as after a power cut': { part: Buffer.alloc(CUT), asked: [`bytes=${CUT}-`, 'all'] },
    'a whole blob that is another': { part: flipped, asked: ['all'] },
    'more than the blob has': { part: Buffer.concat([BLOB, Buffer.from('x')]), asked: ['all'] },
    nothing: { part: Buffer.alloc(0), asked: ['all'] },
  };
  for (const [what, { part, asked }] of Object.entries(cases)) {
    const made = await scene(t);
    made.cutAfter = undefined;
    writeFileSync(partOf(made), part);
    t.equal(await made.images.service.pull(made.name, undefined, never), image.id, what);
    t.same(made.asked, asked, what);
    isWhole(t, made);
  }
});

t.test('what a full disk has of other layers goes with the pull that filled it', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'berth-disk-'));
  mountTmpfs(dir, { sizeBytes: 1024 * 1024, mode: 0o755 });
  t.teardown(() => {
    unmount(dir, { detach: true });
    rmSync(dir, { recursive: true, force: true });
  });
  const root = join(dir, 'images');
  mkdirSync(root);
  const made = await scene(t, { root });
  await t.rejects(made.images.service.pull(made.name, undefined, never), { name: 'RuntimeError', reason: 'REGISTRY_UNAVAILABLE' });
  t.same(keptParts(made.images), [LAYER.digest]);
  const big = buildImage({ layers: [{ entries: [{ path: 'big', content: randomBytes(2_000_000) }] }] });
  const other = await startOddRegistry(t, [big]);
  await t.rejects(made.images.service.pull(`${other.host}/app:0`, undefined, never), { name: 'RuntimeError', reason: 'DISK_FULL' });
  t.same(keptParts(made.images), []);
  made.cutAfter = undefined;
  t.equal(await made.images.service.pull(made.name, undefined, never), image.id);
});

t.test('Debian’s registry sends the rest', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const name = await registry.pushImage('app', '1', image);
  writeFileSync(partOf({ images }), BLOB.subarray(0, CUT));
  t.equal(await images.service.pull(name, undefined, never), image.id);
  const received = images.transfers.map((event) => (event.kind === 'received' ? event.bytes : 0));
  t.equal(
    received.reduce((sum, bytes) => sum + bytes, 0),
    BLOB.length - CUT,
  );
  t.same(readdirSync(join(images.root, 'content/parts')), []);
});
