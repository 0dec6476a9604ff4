/**
 * The config of an image: whatever the bytes, what comes out can be kept,
 * listed and run from, or is refused with words. One image must never spoil
 * the list of all.
 */
import assert from 'node:assert/strict';
import t from 'tap';
import { imageLists } from '../../../src/cri/convert-image.ts';
import { imageInfo } from '../../../src/cri/verbose.ts';
import { cri } from '../../../src/gen/index.ts';
import { isDigest } from '../../../src/ids/index.ts';
import { type ParsedConfig, parseImageConfig } from '../../../src/image/image-config.ts';
import type { ImageRecord } from '../../../src/image/index.ts';
import { decodeRow, encodeRow } from '../../../src/store/codec.ts';
import { refusal } from '../../fixtures/fuzz/errors.ts';
import { growsLinearly } from '../../fixtures/fuzz/growth.ts';
import { oddJson } from '../../fixtures/fuzz/json.ts';
import { fuzz, type Random } from '../../fixtures/fuzz.ts';

/** Of one image in the answer of ListImages, without its names: kubelet takes 16 MiB for all. */
const LISTED_BYTES_MOST = 4096;

const digest = (random: Random): string => `sha256:${random.text('0123456789abcdef', 64, 64)}`;

function config(random: Random): object {
  const words = (): string[] | null => (random.once(5) ? null : random.list(0, 3, () => random.text('abc=/-$ ', 0, 8)));
  return {
    architecture: random.pick(['amd64', 'arm64', '']),
    os: random.pick(['linux', 'windows', '']),
    variant: random.pick([undefined, 'v8', null]),
    config: {
      User: random.pick([
        '',
        '0',
        '1000:1000',
        'web:staff',
        '4294967295',
        '4294967294',
        '9223372036854775807',
        '9223372036854775808',
        '-1',
        '٣',
      ]),
      Env: words(),
      Entrypoint: words(),
      Cmd: words(),
      WorkingDir: random.pick(['', '/', 'w', '../..']),
      StopSignal: random.pick(['', 'SIGTERM', '9', '-1', '99999999999999999999']),
      Volumes: random.pick([null, {}, { '/v': {} }]),
      Labels: random.pick([null, {}, { a: 'b' }, { $n: '1' }]),
    },
    rootfs: { type: 'layers', diff_ids: random.list(0, 3, () => digest(random)) },
    history: [{ created_by: 'x' }],
  };
}

function record({ config, diffIds }: ParsedConfig): ImageRecord {
  const id = `sha256:${'0'.repeat(64)}` as ImageRecord['id'];
  return {
    id,
    repoTags: [],
    repoDigests: [],
    sizeBytes: 1n,
    config,
    layers: diffIds,
    manifestDigest: id,
    layerBlobs: [],
    pulledAtNs: 0n,
    pinned: false,
  };
}

/** Every text in `value` can be sent to Go and to the kernel. */
function checkTexts(value: unknown, where: string): void {
  if (typeof value === 'string') {
    assert(value.isWellFormed(), `a lone surrogate in ${where}`);
    assert(!value.includes('\0'), `a NUL in ${where}`);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, entry] of Object.entries(value)) {
      checkTexts(key, `a key of ${where}`);
      checkTexts(entry, `${where}.${key}`);
    }
  }
}

function check(bytes: Buffer): string {
  let parsed: ParsedConfig;
  try {
    parsed = parseImageConfig(bytes, 'image x');
  } catch (error) {
    return refusal(error, 'unknown', 'IMAGE_MANIFEST');
  }
  assert(parsed.diffIds.every(isDigest));
  checkTexts(parsed, 'config');
  const kept = record(parsed);
  assert.deepEqual(decodeRow(encodeRow(kept)), kept, 'the row reads back');
  const listed = imageLists.response([kept]);
  assert(listed.byteLength < LISTED_BYTES_MOST, `${listed.byteLength} bytes in every list`);
  const [image] = cri.ListImagesResponse.decode(listed).images;
  const user = parsed.config.user.split(':')[0];
  if (image?.uid === null) assert.equal(image.username, user);
  else assert.equal(Number(image?.uid?.value), Number(user));
  assert.equal(typeof imageInfo(kept).info, 'string');
  return `${Object.values(parsed.config)
    .map((value) => Number(value.length !== 0))
    .join('')}${image?.uid === null}`;
}

t.test('any bytes, and odd documents', async (t) => {
  await fuzz(t, {
    name: 'image-config',
    seeds: ['{}', '{"config":null,"rootfs":null}', '{"config":{"User":"1000:1000"}}'],
    dictionary: [
      '"config":',
      '"rootfs":',
      '"diff_ids":',
      '"User":',
      '"Env":',
      '"Labels":',
      '"Volumes":',
      '__proto__',
      '\\ud800',
      '\\u0000',
      'null',
    ],
    generate: (random) => oddJson(random, config(random)),
    check,
  });
});

t.test('the work is in proportion to the length', async (t) => {
  for (const piece of ['[', '"a",', '{"a":', '0,', ' ']) {
    growsLinearly(
      piece,
      20_000,
      (size) => Buffer.from(`{"config":{"Env":[${piece.repeat(size)}`),
      (bytes) => void check(bytes),
    );
  }
  growsLinearly(
    'labels',
    600,
    (size) =>
      Buffer.from(JSON.stringify({ config: { Labels: Object.fromEntries(Array.from({ length: size }, (_, at) => [`l${at}`, 'x'])) } })),
    (bytes) => void check(bytes),
  );
  t.pass();
});
