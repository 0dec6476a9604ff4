import t from 'tap';
import { parseManifest } from '../../../src/registry/manifest.ts';

const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;
const OCI = 'application/vnd.oci.image';
const config = { mediaType: `${OCI}.config.v1+json`, digest: digest('c'), size: 7 };
const layer = { mediaType: `${OCI}.layer.v1.tar+gzip`, digest: digest('1'), size: 9 };
const image = { schemaVersion: 2, mediaType: `${OCI}.manifest.v1+json`, config, layers: [layer] };
const parse = (value: unknown, contentType?: string) =>
  parseManifest(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)), 'image x', contentType);

t.test('images and indexes of both formats are read', async (t) => {
  const wanted = { kind: 'manifest', config: { digest: digest('c'), size: 7 }, layers: [{ digest: digest('1'), size: 9 }] };
  t.match(parse(image), wanted);
  t.match(parse({ ...image, mediaType: undefined }, `${OCI}.manifest.v1+json; charset=utf-8`), wanted);
  t.match(parse({ ...image, mediaType: undefined }, 'application/json'), wanted);
  const docker = { ...image, mediaType: 'application/vnd.docker.distribution.manifest.v2+json' };
  t.match(parse({ ...docker, layers: [{ ...layer, mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip' }] }), wanted);
  const entry = {
    mediaType: image.mediaType,
    digest: digest('2'),
    size: 3,
    platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
  };
  for (const mediaType of [`${OCI}.index.v1+json`, 'application/vnd.docker.distribution.manifest.list.v2+json', undefined]) {
    t.match(parse({ schemaVersion: 2, mediaType, manifests: [entry] }), { kind: 'index', manifests: [entry] });
  }
});

t.test('everything else is refused with words', async (t) => {
  const table: [unknown, RegExp][] = [
    ['', /not JSON/],
    ['[]', /not a JSON object/],
    ['\xff', /not JSON|JSON object/],
    ['\n\u0001😀', /^\P{Cc}*not JSON\P{Cc}*$/u],
    [`{"schemaVersion":2,"mediaType":${'['.repeat(101)}`, /deeper than 100/],
    [{ schemaVersion: 1 }, /schema 1/],
    [{ mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws', schemaVersion: 2 }, /schema 1/],
    [{}, /schemaVersion/],
    [{ ...image, mediaType: 'application/x' }, /media type "application\/x" is unknown/],
    [{ ...image, manifests: [] }, /an image and an index at once/],
    [{ schemaVersion: 2, mediaType: 'application/x', manifests: [] }, /media type "application\/x" is unknown/],
    [{ ...image, mediaType: 5 }, /media type is not a text/],
    [{ ...image, config: undefined }, /config in it is not an object/],
    [{ ...image, config: { ...config, size: -1 } }, /size/],
    [{ ...image, config: { ...config, size: 1.5 } }, /size/],
    [{ ...image, config: { ...config, digest: '../../etc/passwd' } }, /digest/],
    [{ ...image, layers: 'x' }, /no list of layers/],
    [{ ...image, layers: [null] }, /not an object/],
    [{ ...image, layers: [{ ...layer, digest: 'md5:1' }] }, /digest/],
    [{ ...image, layers: [{ ...layer, mediaType: `${OCI}.layer.nondistributable.v1.tar+gzip` }] }, /foreign/],
    [{ ...image, layers: [{ ...layer, mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' }] }, /foreign/],
    [{ ...image, layers: [{ ...layer, mediaType: 'text/plain' }] }, /unknown type/],
    [{ ...image, layers: Array.from({ length: 501 }, () => layer) }, /501 layers/],
    [{ schemaVersion: 2, mediaType: `${OCI}.index.v1+json` }, /without a list/],
    [{ schemaVersion: 2, manifests: Array.from({ length: 1001 }, () => layer) }, /more than 1000/],
  ];
  for (const [value, message] of table) {
    t.throws(() => parse(value), { name: 'RuntimeError', reason: 'IMAGE_MANIFEST', message }, String(message));
  }
});

t.test('a manifest whose config is no image’s is an artifact: its blobs are files of any type, by their titles', async (t) => {
  const annotations = { 'org.opencontainers.image.title': 'models/tiny.bin' };
  const files = [
    { ...layer, mediaType: 'application/x-weights', annotations },
    { ...layer, mediaType: 'text/plain' },
    { ...layer, annotations: { 'io.deis.oras.content.unpack': 'true' } },
  ];
  const empty = { ...config, mediaType: 'application/vnd.oci.empty.v1+json' };
  const parsed = parse({ ...image, artifactType: 'application/x-model', config: empty, layers: files });
  t.match(parsed, { kind: 'artifact', artifactType: 'application/x-model' });
  if (parsed.kind !== 'artifact') return;
  t.same(
    parsed.files.map(({ name, unpack }) => ({ name, unpack })),
    [
      { name: 'models/tiny.bin', unpack: false },
      { name: layer.digest.replace(':', '-'), unpack: false },
      { name: layer.digest.replace(':', '-'), unpack: true },
    ],
  );
  t.match(parse({ ...image, config: { ...config, mediaType: 'application/vnd.wasm.config.v0+json' } }), {
    kind: 'artifact',
    artifactType: 'application/vnd.wasm.config.v0+json',
  });
  t.throws(() => parse({ ...image, config: empty, layers: [{ ...layer, annotations: { 'org.opencontainers.image.title': 7 } }] }), {
    message: /title of sha256:[0-9a-f]{64} is not a text/,
  });
});

t.test('brackets in a text are no nesting', async (t) => {
  t.equal(parse(`{"annotations":{"a":"\\"${'[{'.repeat(200)}"},${JSON.stringify(image).slice(1)}`).kind, 'manifest');
});
