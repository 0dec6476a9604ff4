/**
 * Layers from a registry that misbehaves: every way a transfer can go wrong
 * ends in the right image or in the right words, leaves nothing but a part
 * that may be gone on with, and a good pull works afterwards.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { buildImage, digestOf } from '../../../hack/lib/image-builder.ts';
import type { TransferPolicy } from '../../../src/content/index.ts';
import { until } from '../../fixtures/eventually.ts';
import { keptParts, leavesNothing, openImages, type TestImages } from '../../fixtures/image-service.ts';
import { startOddRegistry } from '../../fixtures/odd-registry.ts';

const never = new AbortController().signal;
/** Patience enough for a busy machine only where a case must succeed. */
const QUICK: TransferPolicy = { openMs: 2_000, floorBytesPerSecond: 20_000, windowMs: 250, attempts: 3, backoffMs: 5, backoffLimitMs: 10 };
const SIZE = 300_000;
const CUT = 100_000;

const image = buildImage({
  layers: [{ entries: [{ path: 'small', content: 'x' }] }, { entries: [{ path: 'big', content: randomBytes(SIZE) }] }],
});
const LAYER = image.layers[1]!;
const BLOB = image.blobs.get(LAYER.digest)!;
const OTHER = randomBytes(BLOB.length);

/** One request for the big layer, the `count`th; answers it. */
interface Asked {
  request: IncomingMessage;
  response: ServerResponse;
  count: number;
  /** First byte asked for; 0 without a Range. */
  from: number;
  /** Bytes of the layer that the store has. */
  arrived: () => number;
}

type Answer = (asked: Asked) => void | Promise<void>;

/** Breaks the connection when `bytes` of the blob have arrived. */
async function cut({ response, arrived }: Asked, bytes: number): Promise<void> {
  response.flushHeaders();
  await until(() => arrived() >= bytes, `${bytes} bytes arrived`);
  await delay(5); // the head, at least, is on its way
  response.destroy();
}

/** Sends the blob from `from` on, up to `until` and then nothing more, as a server does that knows what it is doing. */
function send(
  { response, from }: Pick<Asked, 'response' | 'from'>,
  { blob = BLOB, until = blob.length }: { blob?: Buffer; until?: number } = {},
): void {
  const length = { 'content-length': blob.length - from };
  if (from === 0) response.writeHead(200, length);
  else response.writeHead(206, { ...length, 'content-range': `bytes ${from}-${blob.length - 1}/${blob.length}` });
  if (until === blob.length) response.end(blob.subarray(from));
  else response.write(blob.subarray(from, until));
}

/** What the newest pull has of the big layer. */
const arrived = (images: TestImages): number => images.service.pulls().at(-1)?.layers[1]?.downloadedBytes ?? 0;

/** The first answer ends after CUT bytes, what follows is `then`. */
const afterACut =
  (then: Answer): Answer =>
  async (asked) => {
    if (asked.count > 1) return then(asked);
    send(asked, { until: CUT });
    await cut(asked, CUT);
  };

/** `bytes` every 20 ms. */
async function drip({ response, from }: Asked, bytes: number): Promise<void> {
  response.writeHead(from === 0 ? 200 : 206, { 'content-range': `bytes ${from}-${BLOB.length - 1}/${BLOB.length}` });
  for (let at = from; at < BLOB.length && !response.destroyed; at += bytes) {
    response.write(BLOB.subarray(at, at + bytes));
    await delay(20);
  }
  response.end();
}

interface Case {
  answer: Answer;
  /** Absent when the pull succeeds. */
  fails?: { reason: string; message: RegExp; kind?: string };
  /** Requests for the layer. */
  requests: number;
  /** Something of it is kept for the next pull. */
  kept?: boolean;
  policy?: Partial<TransferPolicy>;
}

const BROKEN = { kind: 'unknown', reason: 'REGISTRY_UNAVAILABLE', message: /broke off again and again: .*check the path to the registry/ };
const STALLED = {
  kind: 'unknown',
  reason: 'PULL_STALLED',
  message: /less than 20000 bytes\/s \(images\.stall_floor_bytes_per_second\) for 0\.25 s \(images\.stall_window_ms\)/,
};
const wrong = (why: RegExp): NonNullable<Case['fails']> => ({
  kind: 'unknown',
  reason: 'IMAGE_DIGEST',
  message: new RegExp(`layer ${LAYER.digest} of image .* is not what was asked for .*${why.source}`),
});
const PATIENT = { windowMs: 10_000, openMs: 20_000 };

const CASES: Record<string, Case> = {
  // cuts
  'a cut before the answer': {
    answer: ({ response }) => void response.destroy(),
    fails: { ...BROKEN, message: /cannot be reached/ },
    requests: 3,
  },
  'a cut behind the head': {
    answer(asked) {
      asked.response.writeHead(200, { 'content-length': BLOB.length });
      return cut(asked, 0);
    },
    fails: BROKEN,
    requests: 3,
  },
  'a cut after the first byte, each time': {
    answer(asked) {
      send(asked, { until: asked.from + (asked.count === 1 ? 1 : 0) });
      return cut(asked, 1);
    },
    fails: BROKEN,
    requests: 4,
    kept: true,
  },
  'a cut before the last byte': {
    async answer(asked) {
      send(asked, asked.count === 1 ? { until: BLOB.length - 1 } : {});
      if (asked.count === 1) await cut(asked, BLOB.length - 1);
    },
    requests: 2,
  },
  'a cut behind the last byte of an answer without an end': {
    answer(asked) {
      asked.response.writeHead(200).write(BLOB);
      return cut(asked, BLOB.length);
    },
    requests: 1,
  },
  'ten cuts, each a little further': {
    async answer(asked) {
      const end = Math.min(BLOB.length, asked.from + Math.ceil(BLOB.length / 10));
      send(asked, { until: end });
      if (end < BLOB.length) await cut(asked, end);
    },
    requests: 10,
  },
  'a cut every few bytes, for ever': {
    answer(asked) {
      send(asked, { until: asked.from + 100 });
      return cut(asked, asked.from + 100);
    },
    fails: BROKEN,
    requests: 100,
    kept: true,
    policy: { backoffMs: 1, backoffLimitMs: 1 },
  },
  // what is sent on the second connection
  'the whole again instead of the range': { answer: afterACut(({ response }) => send({ response, from: 0 })), requests: 2 },
  'a range that begins earlier': { answer: afterACut(({ response, from }) => send({ response, from: from - 5_000 })), requests: 2 },
  'a range that begins later': {
    answer: afterACut(({ response, from }) => send({ response, from: from === 0 ? 0 : from + 5_000 })),
    requests: 3,
  },
  'a part of it without saying which': {
    answer: afterACut(({ response, from }) =>
      from === 0 ? send({ response, from }) : void response.writeHead(206).end(BLOB.subarray(from)),
    ),
    requests: 3,
  },
  'several ranges': {
    answer: afterACut(({ response, from }) =>
      from === 0
        ? send({ response, from })
        : void response.writeHead(206, { 'content-type': 'multipart/byteranges; boundary=x' }).end('--x--'),
    ),
    requests: 3,
  },
  'no such range (416)': {
    answer: afterACut(({ response, from }) =>
      from === 0 ? send({ response, from }) : void response.writeHead(416, { 'content-range': `bytes */${BLOB.length}` }).end(),
    ),
    requests: 3,
  },
  'a failure in between': {
    answer: afterACut((asked) => (asked.count === 2 ? void asked.response.writeHead(503).end() : send(asked))),
    requests: 3,
  },
  'the rest of another blob': { answer: afterACut((asked) => send(asked, asked.from === 0 ? {} : { blob: OTHER })), requests: 3 },
  'the rest of a longer blob': {
    answer: afterACut((asked) => send(asked, asked.from === 0 ? {} : { blob: Buffer.concat([BLOB, Buffer.from('x')]) })),
    requests: 3,
  },
  'the rest of another blob, and then another whole': {
    answer: afterACut((asked) => send(asked, { blob: OTHER })),
    fails: wrong(/its digest is sha256:/),
    requests: 3,
  },
  // too slow
  'nothing behind some bytes': { answer: (asked) => send(asked, { until: asked.from + 10 }), fails: STALLED, requests: 3, kept: true },
  'a drip below the floor': { answer: (asked) => drip(asked, 30), fails: STALLED, requests: 3, kept: true },
  'a drip above the floor': { answer: (asked) => drip(asked, 20_000), requests: 1, policy: PATIENT },
  'no end behind the last byte': { answer: ({ response }) => void response.writeHead(200).write(BLOB), requests: 1 },
  'no answer': {
    answer: () => undefined,
    fails: { ...BROKEN, message: /no answer began within 0\.2 s/ },
    requests: 3,
    policy: { openMs: 200 },
  },
  'a stall that ends with the next connection': {
    answer: (asked) => (asked.count === 1 ? send(asked, { until: CUT }) : send(asked)),
    requests: 2,
  },
  // wrong content
  'other bytes': { answer: (asked) => send(asked, { blob: OTHER }), fails: wrong(/its digest is sha256:/), requests: 1 },
  'other first bytes': {
    answer: (asked) => send(asked, { blob: Buffer.concat([Buffer.from('junk'), BLOB.subarray(4)]) }),
    fails: wrong(/its digest is sha256:/),
    requests: 1,
  },
  'a length that is too short': {
    answer: (asked) => send(asked, { blob: BLOB.subarray(0, -1) }),
    fails: wrong(new RegExp(`the registry has ${BLOB.length - 1} bytes of it, not ${BLOB.length}`)),
    requests: 1,
  },
  'a length that is too long': {
    answer: ({ response }) => void response.writeHead(200, { 'content-length': 2 ** 50 }).write(BLOB),
    fails: wrong(/the registry has 1125899906842624 bytes of it/),
    requests: 1,
  },
  'an end that comes early, with no length to tell': {
    answer: ({ response }) => void response.writeHead(200).end(BLOB.subarray(0, CUT)),
    fails: { ...BROKEN, message: new RegExp(`ended after ${CUT} of ${BLOB.length} bytes`) },
    requests: 4, // the first brings something, three in a row do not
    kept: true,
  },
  'one byte more, with no length to tell': {
    answer: ({ response }) => void response.writeHead(200).end(Buffer.concat([BLOB, Buffer.from('x')])),
    fails: wrong(new RegExp(`longer than ${BLOB.length} bytes`)),
    requests: 1,
  },
  'a body without end': {
    async answer({ response }) {
      response.writeHead(200);
      while (!response.destroyed) if (!response.write(OTHER)) await delay(2);
    },
    fails: wrong(new RegExp(`longer than ${BLOB.length} bytes`)),
    requests: 1,
  },
  'an empty body with its length': {
    answer: ({ response }) => void response.writeHead(200, { 'content-length': 0 }).end(),
    fails: wrong(/the registry has 0 bytes of it/),
    requests: 1,
  },
  'an empty body without': { answer: ({ response }) => void response.writeHead(200).end(), fails: BROKEN, requests: 3 },
  // refusals
  'not found': {
    answer: ({ response }) => void response.writeHead(404).end(),
    fails: { kind: 'not-found', reason: 'IMAGE_NOT_IN_REGISTRY', message: new RegExp(LAYER.digest) },
    requests: 1,
  },
  'forbidden behind a cut': {
    answer: afterACut(({ response }) => void response.writeHead(403).end()),
    fails: { kind: 'denied', reason: 'IMAGE_UNAUTHORIZED', message: /answered 403/ },
    requests: 2,
    kept: true,
  },
};

for (const [what, { answer, fails, requests, kept, policy }] of Object.entries(CASES)) {
  t.test(what, async (t) => {
    let odd = true;
    let count = 0;
    const registry = await startOddRegistry(t, [image], async (request, response) => {
      if (!odd || request.url?.endsWith(LAYER.digest) !== true) return false;
      count += 1;
      response.on('error', () => undefined); // we break it, or the daemon does
      const from = Number(/^bytes=([0-9]+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      await answer({ request, response, count, from, arrived: () => arrived(images) });
      return true;
    });
    const images = openImages(t, { transfer: { ...QUICK, ...policy } });
    const name = `${registry.host}/app:0`;
    if (fails === undefined) {
      t.equal(await images.service.pull(name, undefined, never), image.id);
    } else {
      await t.rejects(images.service.pull(name, undefined, never), { name: 'RuntimeError', ...fails });
      const small = image.layers[0]!.digest; // may have been under way when the pull failed
      await leavesNothing(t, images, kept === true ? [LAYER.digest, small] : [small]);
      t.equal(keptParts(images).includes(LAYER.digest), kept === true);
    }
    t.equal(count, requests, 'requests for the layer');
    odd = false;
    t.equal(await images.service.pull(name, undefined, never), image.id, 'a good pull works afterwards');
    t.same(keptParts(images), [], 'and takes the part with it');
  });
}

t.test('a layer that is what was asked for and cannot be unpacked is not kept', async (t) => {
  const junk = Buffer.from('this is no tar'.repeat(100));
  const broken = buildImage({ layers: [{ tar: junk, compression: 'none' }] });
  const registry = await startOddRegistry(t, [broken, image]);
  const images = openImages(t, { transfer: QUICK });
  await t.rejects(images.service.pull(`${registry.host}/app:0`, undefined, never), {
    reason: 'IMAGE_LAYER',
    message: new RegExp(`layer ${digestOf(junk)} of image .*rebuild the image`),
  });
  await leavesNothing(t, images);
  t.equal(await images.service.pull(`${registry.host}/app:1`, undefined, never), image.id);
});

t.test('what was resumed, retried and stalled is told, and every byte that came', async (t) => {
  let count = 0;
  const registry = await startOddRegistry(t, [image], async (request, response) => {
    if (request.url?.endsWith(LAYER.digest) !== true) return false;
    count += 1;
    const from = Number(/^bytes=([0-9]+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const asked = { request, response, count, from, arrived: () => arrived(images) };
    response.on('error', () => undefined);
    if (count < 3) send(asked, { until: from + CUT });
    else send(asked);
    if (count === 1) await cut(asked, CUT);
    return true;
  });
  const images = openImages(t, { transfer: QUICK });
  await images.service.pull(`${registry.host}/app:0`, undefined, never);
  const told = (kind: string) => images.transfers.filter((event) => event.kind === kind);
  t.same(
    ['resumed', 'retried', 'stalled', 'downloaded', 'unpacked'].map((kind) => [kind, told(kind).length]),
    [
      ['resumed', 2],
      ['retried', 2],
      ['stalled', 1],
      ['downloaded', 2],
      ['unpacked', 2],
    ],
  );
  const bytes = told('received').reduce((sum, event) => sum + (event.kind === 'received' ? event.bytes : 0), 0);
  t.equal(bytes, LAYER.size + image.layers[0]!.size);
  t.match(told('received')[0], { registry: registry.host, mirror: false });
  t.match(images.service.pulls().at(-1), {
    state: 'done',
    layers: [{}, { source: registry.host, resumedBytes: 0, downloadedBytes: LAYER.size }],
  });
});
