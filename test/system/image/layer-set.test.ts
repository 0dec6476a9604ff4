/** Layers as pulls get them, from a source that the test holds in its hands. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import { Limiter } from '../../../src/async/index.ts';
import { PartStore } from '../../../src/content/index.ts';
import type { DiffId } from '../../../src/ids/index.ts';
import { LayerSet } from '../../../src/image/layer-set.ts';
import type { LiveLayer } from '../../../src/image/progress.ts';
import type { ImageSource } from '../../../src/image/source.ts';
import type { TransferEvent } from '../../../src/image/types.ts';
import { createLogger } from '../../../src/log/index.ts';
import type { Descriptor } from '../../../src/registry/index.ts';
import { type LayerRecord, LayerStore, Trash } from '../../../src/snapshot/index.ts';
import { openStore } from '../../../src/store/index.ts';
import { until } from '../../fixtures/eventually.ts';

const never = new AbortController().signal;
const image = buildImage({ layers: [{ entries: [{ path: 'big', content: randomBytes(300_000) }] }] });
const descriptor = image.layers[0] as Descriptor;
const diffId = image.diffIds[0] as DiffId;
const BLOB = image.blobs.get(descriptor.digest)!;
const CUT = 100_000;

function open(t: Test) {
  const dir = mkdtempSync(join(tmpdir(), 'berth-layers-'));
  const logger = createLogger({ level: 'silent' });
  const store = openStore({ path: ':memory:' });
  const trash = new Trash(join(dir, 'trash'), logger);
  const parts = new PartStore(join(dir, 'parts'));
  const layers = new LayerStore({ dir: join(dir, 'layers'), table: store.table<LayerRecord>('layers'), trash, logger });
  const events: TransferEvent[] = [];
  const policy = { openMs: 20_000, floorBytesPerSecond: 1, windowMs: 20_000, attempts: 3, backoffMs: 1, backoffLimitMs: 1 };
  const set = new LayerSet({
    layers,
    parts,
    keepBlob: undefined,
    downloads: new Limiter(3),
    policy,
    observe: (event) => events.push(event),
    changed: () => undefined,
  });
  t.teardown(async () => {
    await set.settled();
    parts[Symbol.dispose]();
    await layers.close();
    await trash.close();
    store[Symbol.dispose]();
    rmSync(dir, { recursive: true, force: true });
  });
  return { set, events, layers, partNames: () => readdirSync(join(dir, 'parts')) };
}

/** A source of the one layer; `body` makes what it sends from an offset on. */
function sourceOf(body: (offset: number) => AsyncIterable<Uint8Array>): { source: ImageSource; offsets: number[] } {
  const offsets: number[] = [];
  const refuse = (): never => t.fail('only layers are asked for') as never;
  const blob: ImageSource['blob'] = async (_layer, offset) => {
    offsets.push(offset);
    return { offset, total: BLOB.length, sender: { host: 'mirror.example', mirror: true }, body: body(offset) };
  };
  return { source: { manifest: refuse, smallBlob: refuse, blob }, offsets };
}

const request = (source: ImageSource, signal: AbortSignal, show: (shown: readonly LiveLayer[]) => void = () => undefined) => ({
  source,
  host: 'r.example',
  origin: 'r.example/app',
  layers: [{ descriptor, diffId, content: { kind: 'layer' as const } }],
  what: 'image r.example/app:1',
  signal,
  show,
});

const good = sourceOf(async function* (offset) {
  yield BLOB.subarray(offset);
});

t.test('who comes while an abandoned download gives its bytes back goes on with them', async (t) => {
  const { set, layers, partNames } = open(t);
  const gate = Promise.withResolvers<void>();
  const slow = sourceOf(async function* () {
    yield BLOB.subarray(0, CUT);
    await gate.promise; // deaf to its signal
    throw new Error('closed at last');
  });
  const caller = new AbortController();
  let shown: readonly LiveLayer[] = [];
  const left = set.fetch(request(slow.source, caller.signal, (entries) => (shown = entries)));
  await until(() => shown[0]?.downloadedBytes === CUT, 'the first bytes are there');
  caller.abort();
  await t.rejects(left, { name: 'RuntimeError', reason: 'CANCELLED' }, 'at once');
  t.same(layers.all(), []);
  const next = set.fetch(request(good.source, never));
  gate.resolve();
  t.same(await next, { pulled: 1, shared: 0, bytes: BLOB.length });
  t.same(good.offsets, [CUT]);
  t.same(partNames(), []);
});

t.test('what mirrors send is told apart', async (t) => {
  const { set, events } = open(t);
  let shown: readonly LiveLayer[] = [];
  await set.fetch(request(good.source, never, (entries) => (shown = entries)));
  t.match(
    events.filter((event) => event.kind === 'received'),
    [{ registry: 'r.example', mirror: true, bytes: BLOB.length }],
  );
  const [layer] = shown.map((each) => each.view());
  t.match(layer, { state: 'done', source: 'mirror.example', downloadedBytes: BLOB.length, resumedBytes: 0 });
  t.ok((layer?.unpackedBytes ?? 0) > 300_000, 'the tar is larger than its content');
});
