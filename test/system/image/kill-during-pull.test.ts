import '../../fixtures/private-netns.ts';
/**
 * kill -9 at random moments of pulls: while the daemon asks for documents,
 * downloads, unpacks, publishes layers and commits the image. Whatever the
 * moment, the next daemon has the whole image or nothing that is seen, every
 * row has its directory, and what is left of downloads is right.
 * BERTH_TEST_KILLS and BERTH_TEST_SEED choose how many and which moments.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import { imageService } from '../../../src/gen/index.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { until } from '../../fixtures/eventually.ts';
import { startOddRegistry } from '../../fixtures/odd-registry.ts';

const KILLS = Number(process.env.BERTH_TEST_KILLS ?? 50);
const SEED = Number(process.env.BERTH_TEST_SEED ?? 20_251);
const LAYERS = 5;
const CHUNK_BYTES = 16 * 1024;
/** The registry sends a chunk, then rests: a layer takes some 60 ms, the pull some 200. */
const PACE_MS = 2;

t.comment('timeout=600000'); // in ms, for the runner: some 100 s were measured while other work kept both cores busy
t.comment(`seed ${SEED}, ${KILLS} kills`);

/** Equal seeds, equal numbers from 0 to 1 (a 32-bit xorshift). */
function numbers(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
const random = numbers(SEED);

const image = buildImage({
  layers: Array.from({ length: LAYERS }, (_, layer) => ({
    entries: [
      ...(layer === 0 ? [{ path: 'shared/', type: 'directory' as const, mode: 0o700, uid: 7 }] : []), // others imply it
      { path: `shared/noise-${layer}`, content: randomBytes(300_000) },
      { path: `shared/link-${layer}`, type: 'hardlink' as const, target: `shared/noise-${layer}` },
      ...Array.from({ length: 40 }, (_, file) => ({ path: `layer-${layer}/file-${file}`, content: `${layer} ${file}`.repeat(50) })),
      { path: `layer-${layer}/symlink`, type: 'symlink' as const, target: 'file-0' },
    ],
  })),
});
const blobs = new Map(image.layers.map(({ digest }) => [digest, image.blobs.get(digest)!]));

/** When to kill: at the nth request, at so many bytes of layers, or so long after the registry has nothing more to do. */
type Moment = { request: number } | { bytes: number } | { lateMs: number };

/** `lateMs`: what a pull takes from its last byte until it is answered: unpacking, publishing and committing. */
function nextMoment(lateMs: number): Moment {
  const kind = random();
  if (kind < 0.15) return { request: 1 + Math.floor(random() * (LAYERS + 2)) };
  if (kind < 0.5) return { bytes: Math.floor(random() * image.layers.reduce((sum, { size }) => sum + size, 0)) };
  return { lateMs: Math.round(random() * 1.2 * lateMs) };
}

/** The round under way, as the registry sees it. */
class Round {
  readonly moment: Moment;
  readonly #due = Promise.withResolvers<void>();
  #requests = 0;
  #bytes = 0;
  #open = 0;
  #timer: NodeJS.Timeout | undefined;
  /** When the registry had answered all that it was asked so far. */
  closedAtMs = 0;

  constructor(moment: Moment) {
    this.moment = moment;
  }

  get due(): Promise<void> {
    return this.#due.promise;
  }

  opened(): void {
    clearTimeout(this.#timer);
    this.#requests += 1;
    this.#open += 1;
    if ('request' in this.moment && this.#requests >= this.moment.request) this.#due.resolve();
  }

  sent(bytes: number): void {
    this.#bytes += bytes;
    if ('bytes' in this.moment && this.#bytes >= this.moment.bytes) this.#due.resolve();
  }

  closed(): void {
    this.#open -= 1;
    this.closedAtMs = performance.now();
    if (this.#open === 0 && this.#requests > 2 && 'lateMs' in this.moment) this.#timer = setTimeout(this.#due.resolve, this.moment.lateMs);
  }
}

let round: Round | undefined;
const registry = await startOddRegistry(t, [image], async (request, response) => {
  const mine = round;
  mine?.opened();
  response.once('close', () => mine?.closed());
  response.on('error', () => undefined); // the daemon is killed
  const blob = blobs.get(request.url?.split('/').at(-1) ?? '');
  if (blob === undefined || mine === undefined) return false;
  await sendSlowly(response, blob, { range: request.headers.range, round: mine });
  return true;
});

async function sendSlowly(response: ServerResponse, blob: Buffer, { range, round }: { range: string | undefined; round: Round }) {
  const from = Number(/^bytes=([0-9]+)-$/.exec(range ?? '')?.[1] ?? 0);
  const length = { 'content-length': blob.length - from };
  if (from === 0) response.writeHead(200, length);
  else response.writeHead(206, { ...length, 'content-range': `bytes ${from}-${blob.length - 1}/${blob.length}` });
  for (let at = from; at < blob.length && !response.destroyed; at += CHUNK_BYTES) {
    response.write(blob.subarray(at, at + CHUNK_BYTES));
    round.sent(Math.min(CHUNK_BYTES, blob.length - at));
    await delay(PACE_MS);
  }
  response.end();
}

/** Trying the OCI runtimes at each start would cost more than the rest of it, and pulls do not need them. */
const NO_RUNTIME = ['crun', 'runc'].map((handler) => `[[runtime.handlers]]\nname = "${handler}"\npath = "/nonexistent"\n`).join('');

const daemon = await startDaemon(t, { bundle: true, config: NO_RUNTIME });
const { client, root } = daemon;
const name = `${registry.host}/app:0`;
const pull = async (): Promise<string> =>
  (await client.call(imageService.PullImage, { image: { image: name } }, { timeoutMs: 0 })).imageRef;
const list = (dir: string): string[] => readdirSync(join(root, dir)).sort();

/** Paths below `dir` with type, owner, mode, time and content, digested. */
function treeDigest(dir: string): string {
  const hash = createHash('sha256');
  const walk = (path: string): void => {
    const stat = lstatSync(path);
    hash.update(`${path.slice(dir.length)} ${stat.mode} ${stat.uid} ${stat.nlink}\n`);
    if (!stat.isDirectory()) hash.update(`${stat.mtimeMs}`); // those that a layer only implies have the time of the pull
    if (stat.isSymbolicLink()) hash.update(readlinkSync(path));
    if (stat.isFile()) hash.update(readFileSync(path));
    if (stat.isDirectory()) for (const entry of readdirSync(path).sort()) walk(join(path, entry));
  };
  walk(dir);
  return hash.digest('hex');
}

/** Every layer's tree; the one that berth made itself is named after nothing that lasts. */
function trees(): Record<string, string> {
  const nameOf = (layer: string): string => (image.diffIds.includes(`sha256:${layer}`) ? layer : 'fixup');
  return Object.fromEntries(list('layers').map((layer) => [nameOf(layer), treeDigest(join(root, 'layers', layer))]));
}

function rows(table: string): string[] {
  using db = new DatabaseSync(join(root, 'berth.db'), { readOnly: true });
  return db
    .prepare(`SELECT id FROM ${table} ORDER BY id`)
    .all()
    .map(({ id }) => String(id).replace('sha256:', ''));
}

// What the image looks like and how long a pull is at work when nobody is killed; then the daemon has nothing again.
round = new Round({ bytes: Number.POSITIVE_INFINITY });
await pull();
const LATE_MS = performance.now() - round.closedAtMs;
const WHOLE = trees();
await client.call(imageService.RemoveImage, { image: { image: name } });

/** What the kill met, by what it left: for the sum at the end. */
function metByKill(): string[] {
  const layers = list('layers');
  return [
    ...(list('content/parts').length > 0 ? ['download'] : []),
    ...(layers.some((layer) => layer.startsWith('tmp-')) ? ['unpack'] : []),
    ...(layers.some((layer) => !layer.startsWith('tmp-')) && rows('images').length === 0 ? ['publish'] : []),
    ...(rows('images').length > 0 ? ['end'] : []),
    ...(layers.length === 0 ? ['resolve'] : []),
  ];
}

/** All that must hold when the next daemon is up. Answers whether it has the image. */
async function check(t: Test, what: string): Promise<boolean> {
  const { images } = await client.call(imageService.ListImages, {});
  const present = images.length > 0;
  t.same(
    images.map(({ id }) => id),
    present ? [image.id] : [],
    `${what}: the image or none`,
  );
  t.same(rows('layers'), list('layers'), `${what}: a row for each layer, a layer for each row`);
  t.same(trees(), present ? WHOLE : {}, `${what}: whole layers or none`);
  const documents = [image.id, image.manifest.descriptor.digest].map((digest) => digest.slice(7)).sort();
  t.same(list('content/blobs/sha256'), present ? documents : [], `${what}: its documents or none`);
  for (const part of list('content/parts')) {
    const blob = blobs.get(`sha256:${part.replace('.part', '')}`);
    const kept = readFileSync(join(root, 'content/parts', part));
    t.ok(blob?.subarray(0, kept.length).equals(kept), `${what}: ${part} is the beginning of a layer`);
  }
  return present;
}

t.test('a kill at any moment of a pull leaves the whole image or nothing', async (t) => {
  const met = new Map<string, number>();
  for (let kill = 1; kill <= KILLS; kill += 1) {
    round = new Round(nextMoment(LATE_MS));
    const what = `kill ${kill} at ${JSON.stringify(round.moment)}`;
    const pulling = pull();
    await Promise.race([round.due, pulling]);
    await daemon.kill();
    const [outcome] = await Promise.allSettled([pulling]);
    if (outcome.status === 'rejected') t.match(outcome.reason, { name: 'DaemonUnreachable' }, `${what}: no pull fails but for the kill`);
    for (const phase of metByKill()) met.set(phase, (met.get(phase) ?? 0) + 1);
    const cold = random() < 0.5;
    if (cold) rmSync(join(root, 'content/parts'), { recursive: true });
    await daemon.start();
    if (outcome.status === 'fulfilled') t.ok(await check(t, what), `${what}: a pull that was answered is there`);
    else if (!(await check(t, what))) continue;
    await client.call(imageService.RemoveImage, { image: { image: name } });
    t.same([...list('layers'), ...rows('images')], [], `${what}: and can be removed`);
  }
  round = undefined;
  t.comment(`what the kills met: ${JSON.stringify(Object.fromEntries(met))}`);
  const wanted = KILLS >= 50 ? ['download', 'end', 'resolve', 'unpack'] : [];
  t.same(
    wanted.filter((phase) => !met.has(phase)),
    [],
    'every part of a pull was met',
  );
  t.equal(await pull(), image.id, 'the pull completes');
  t.ok(await check(t, 'in the end'));
  t.same(list('content/parts'), []);
  await until(() => !existsSync(join(root, 'trash')) || list('trash').length === 0, 'the trash is emptied');
});
