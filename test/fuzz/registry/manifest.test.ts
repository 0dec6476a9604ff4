/**
 * Manifests and indexes: whatever the bytes, what comes out is checked or
 * refused with words, and a pull of such documents ends as one of them.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import t from 'tap';
import { isRuntimeError } from '../../../src/errors/index.ts';
import { type Digest, isDigest } from '../../../src/ids/index.ts';
import { resolveImage } from '../../../src/image/pull.ts';
import type { ImageSource } from '../../../src/image/source.ts';
import { type Descriptor, type ImageIndex, parseManifest } from '../../../src/registry/manifest.ts';
import { candidatesFor, formatPlatform, hostPlatform } from '../../../src/registry/platform.ts';
import { refusal } from '../../fixtures/fuzz/errors.ts';
import { growsLinearly } from '../../fixtures/fuzz/growth.ts';
import { oddJson } from '../../fixtures/fuzz/json.ts';
import { fuzz, property, type Random } from '../../fixtures/fuzz.ts';

const OCI = 'application/vnd.oci.image';
const DOCKER = 'application/vnd.docker';
const MANIFEST_TYPES = [`${OCI}.manifest.v1+json`, `${DOCKER}.distribution.manifest.v2+json`];
const INDEX_TYPES = [`${OCI}.index.v1+json`, `${DOCKER}.distribution.manifest.list.v2+json`];
const OTHER_TYPES = [
  `${DOCKER}.distribution.manifest.v1+prettyjws`,
  'application/json',
  'text/html; charset=utf-8',
  '',
  ';',
  `${OCI}.index.v1+json;x`,
];
const LAYERS = [`${OCI}.layer.v1.tar`, `${OCI}.layer.v1.tar+gzip`, `${OCI}.layer.v1.tar+zstd`, `${DOCKER}.image.rootfs.diff.tar.gzip`];
const FOREIGN = [`${OCI}.layer.nondistributable.v1.tar+gzip`, `${DOCKER}.image.rootfs.foreign.diff.tar.gzip`, 'text/plain'];
/** OVL_MAX_STACK, less one for berth's own. */
const LAYERS_MOST = 499;

const digest = (random: Random): string => `sha256:${random.text('0123456789abcdef', 64, 64)}`;
const descriptor = (random: Random, mediaType: string): object => ({ mediaType, digest: digest(random), size: random.below(1 << 20) });

function manifest(random: Random): object {
  return {
    schemaVersion: 2,
    mediaType: random.once(4) ? undefined : random.pick(MANIFEST_TYPES),
    config: descriptor(random, random.pick([`${OCI}.config.v1+json`, `${DOCKER}.container.image.v1+json`])),
    layers: random.list(0, 4, () => descriptor(random, random.pick(random.once(20) ? FOREIGN : LAYERS))),
    annotations: random.once(3) ? { 'org.example.note': 'x' } : undefined,
  };
}

function index(random: Random): object {
  const platform = (): object => ({
    os: random.pick(['linux', 'linux', 'windows', 'unknown']),
    architecture: random.pick(['amd64', 'arm64', 's390x', 'unknown']),
    variant: random.pick([undefined, undefined, 'v8', 'v1', 'v3', '']),
  });
  return {
    schemaVersion: 2,
    mediaType: random.once(4) ? undefined : random.pick(INDEX_TYPES),
    manifests: random.list(0, 5, () => ({
      ...descriptor(random, random.pick([...MANIFEST_TYPES, ...INDEX_TYPES, `${OCI}.unknown`])),
      platform: random.once(4) ? undefined : platform(),
    })),
  };
}

const document = (random: Random): object => (random.once(2) ? manifest(random) : index(random));

function checkDescriptor({ digest, size, mediaType }: Descriptor): void {
  assert(isDigest(digest), `the digest ${digest}`);
  assert(Number.isSafeInteger(size) && size >= 0, `the size ${size}`);
  assert.equal(typeof mediaType, 'string');
}

function checkDocument(document: ReturnType<typeof parseManifest>): string {
  if (document.kind === 'manifest') {
    checkDescriptor(document.config);
    assert(document.layers.length <= LAYERS_MOST, `${document.layers.length} layers`);
    for (const layer of document.layers) {
      checkDescriptor(layer);
      assert(/tar/.test(layer.mediaType) && !/foreign|nondistributable/.test(layer.mediaType), layer.mediaType);
    }
    return `manifest ${Math.min(document.layers.length, 3)}`;
  }
  if (document.kind === 'artifact') {
    assert.equal(typeof document.artifactType, 'string');
    for (const { descriptor, name } of document.files) {
      checkDescriptor(descriptor);
      assert(name !== '', 'a file without a name');
    }
    return 'artifact';
  }
  for (const entry of document.manifests) {
    checkDescriptor(entry);
    if (entry.platform !== undefined) assert.equal(typeof formatPlatform(entry.platform), 'string');
  }
  const [chosen, ...others] = candidatesFor(document, hostPlatform());
  for (const { digest } of chosen === undefined ? [] : [chosen, ...others])
    assert(document.manifests.some((entry) => entry.digest === digest));
  const { architecture } = hostPlatform();
  const isForUs = ({ mediaType, platform }: ImageIndex['manifests'][number]): boolean =>
    MANIFEST_TYPES.includes(mediaType) &&
    platform?.os === 'linux' &&
    platform.architecture === architecture &&
    platform.variant === undefined;
  if (document.manifests.some(isForUs)) {
    assert(chosen !== undefined, 'an entry for this machine is not chosen');
  }
  return `index ${chosen === undefined}`;
}

function check(bytes: Buffer, contentType: string): string {
  let parsed: ReturnType<typeof parseManifest>;
  try {
    parsed = parseManifest(bytes, 'image x', contentType);
  } catch (error) {
    return refusal(error, 'unknown', 'IMAGE_MANIFEST');
  }
  return checkDocument(parsed);
}

t.test('any bytes, and odd documents', async (t) => {
  await fuzz(t, {
    name: 'manifest',
    seeds: ['{"schemaVersion":2,"manifests":[]}', '{"schemaVersion":1}', '\ufeff{}', '[]'],
    dictionary: [
      '"schemaVersion":2',
      '"manifests":',
      '"layers":',
      '"config":',
      '"mediaType":',
      '"platform":',
      '"digest":',
      '"size":',
      '__proto__',
      '\\ud800',
      '\\u0000',
      'null',
      '[[[[',
    ],
    generate: (random) => oddJson(random, document(random)),
    check: (input, random) => check(input, random.pick([...MANIFEST_TYPES, ...INDEX_TYPES, ...OTHER_TYPES])),
  });
});

/** A registry in memory, where what is found may be odd. */
function source(random: Random): ImageSource {
  const blobs = new Map<string, Buffer>();
  const add = (value: unknown): { digest: string; size: number } => {
    const bytes = Buffer.from(random.once(3) ? oddJson(random, value) : JSON.stringify(value));
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    blobs.set(digest, bytes);
    return { digest, size: bytes.length };
  };
  const { os, architecture } = hostPlatform();
  const image = (): object => {
    const diffIds = random.list(0, 3, () => digest(random));
    const config = {
      ...add({ os, architecture: random.once(5) ? 's390x' : architecture, rootfs: { diff_ids: diffIds } }),
      mediaType: `${OCI}.config.v1+json`,
    };
    return { ...(manifest(random) as { layers: [] }), config, layers: diffIds.map(() => descriptor(random, LAYERS[0] ?? '')) };
  };
  const tree = (depth: number): object => {
    if (depth === 0) return image();
    const entry = (): object => ({
      ...add(tree(random.below(depth + 1) - (random.once(3) ? 0 : 1) < 0 ? 0 : random.below(depth))),
      mediaType: '',
      platform: random.once(2) ? undefined : { os, architecture },
    });
    return { schemaVersion: 2, mediaType: INDEX_TYPES[0], manifests: random.list(0, 3, entry) };
  };
  const root = add(tree(random.below(5)));
  const read = (digest: string): Buffer => {
    const bytes = blobs.get(digest);
    assert(bytes !== undefined || digest !== root.digest);
    return bytes ?? Buffer.from('{}');
  };
  return {
    async manifest(digest) {
      const found = digest ?? (root.digest as Digest);
      return { bytes: read(found), digest: found, contentType: random.pick([...MANIFEST_TYPES, ...INDEX_TYPES, '']) };
    },
    async smallBlob(wanted) {
      return read(wanted.digest);
    },
    async blob() {
      throw new Error('no layer is asked for');
    },
  };
}

t.test('an image of odd documents resolves to a whole one, or not at all', async (t) => {
  const outcomes = new Set<string>();
  await property(t, {
    name: 'resolve',
    inputs: 6000,
    generate: source,
    async check(from) {
      try {
        const image = await resolveImage(from, 'image example.org/odd', new AbortController().signal);
        assert(isDigest(image.id) && isDigest(image.manifestDigest) && isDigest(image.targetDigest));
        for (const { descriptor, diffId } of image.layers) {
          checkDescriptor(descriptor);
          assert(isDigest(diffId));
        }
        outcomes.add('resolved');
      } catch (error) {
        refusal(error, 'unknown', 'IMAGE_MANIFEST', 'IMAGE_PLATFORM');
        outcomes.add(isRuntimeError(error) ? error.reason : '');
      }
    },
  });
  t.same([...outcomes].sort(), ['IMAGE_MANIFEST', 'IMAGE_PLATFORM', 'resolved'], 'all of them were met');
});

t.test('the work is in proportion to the length', async (t) => {
  const text = (size: number, piece: string): Buffer => Buffer.from(`{"schemaVersion":2,"mediaType":${piece.repeat(size)}`);
  for (const piece of ['[', '{"a":', '"', '\\', ' ', '"a",', '0', '\u20ac']) {
    growsLinearly(
      piece,
      20_000,
      (size) => text(size, piece),
      (bytes) => void check(bytes, ''),
    );
  }
  growsLinearly(
    'entries',
    60,
    (size) =>
      Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: Array(size).fill({ digest: `sha256:${'a'.repeat(64)}`, size: 1 }) })),
    (bytes) => void check(bytes, ''),
  );
  t.pass();
});
