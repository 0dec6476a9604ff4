/** Manifests that cannot be used are refused with words, by a pull of them, and leave nothing behind. */
import { createHash } from 'node:crypto';
import t from 'tap';
import { buildImage, buildIndex } from '../../../hack/lib/image-builder.ts';
import { leavesNothing, openImages } from '../../fixtures/image-service.ts';
import { startOddRegistry } from '../../fixtures/odd-registry.ts';

const never = new AbortController().signal;
const OCI = 'application/vnd.oci.image';
const DOCKER = 'application/vnd.docker';
const image = buildImage({ layers: [{ entries: [{ path: 'a', content: 'a' }] }] });
const foreign = buildImage({ layers: [{ entries: [{ path: 'a', content: 'a' }] }], architecture: 's390x' });
const manifest = JSON.parse(image.manifest.bytes.toString());
const [layer] = manifest.layers;
const MANIFEST = `${OCI}.manifest.v1+json`;

/** What is served, as what, and what is said of it. */
const TABLE: Record<string, { document: object; type?: string; reason?: string; message: RegExp }> = {
  'schema 1': {
    document: { schemaVersion: 1, name: 'a/app', tag: '1', architecture: 'amd64', fsLayers: [{ blobSum: layer.digest }], history: [] },
    type: `${DOCKER}.distribution.manifest.v1+prettyjws`,
    message: /it is Docker schema 1, which is obsolete; rebuild the image/,
  },
  'a foreign layer': {
    document: {
      ...manifest,
      layers: [{ ...layer, mediaType: `${DOCKER}.image.rootfs.foreign.diff.tar.gzip`, urls: ['http://127.0.0.1:1/x'] }],
    },
    message: /the layer sha256:[0-9a-f]{64} is foreign: its content is not in the registry/,
  },
  'a layer that may not be distributed': {
    document: { ...manifest, layers: [{ ...layer, mediaType: `${OCI}.layer.nondistributable.v1.tar+gzip` }] },
    message: /is foreign/,
  },
  'a layer of an unknown kind': {
    document: { ...manifest, layers: [{ ...layer, mediaType: `${OCI}.layer.v1.tar+xz` }] },
    message: /is of unknown type "application\/vnd\.oci\.image\.layer\.v1\.tar\+xz"/,
  },
  'a document of an unknown kind': {
    document: { ...manifest, mediaType: 'application/vnd.example+json' },
    message: /media type "application\/vnd.example\+json" is unknown/,
  },
  'an unknown kind with a list of manifests': {
    document: { schemaVersion: 2, mediaType: 'application/vnd.example+json', manifests: [] },
    message: /is unknown/,
  },
  'an image and an index at once': { document: { ...manifest, manifests: [] }, message: /an image and an index at once/ },
  'an index without this platform': {
    document: JSON.parse(buildIndex([foreign]).bytes.toString()),
    type: `${OCI}.index.v1+json`,
    reason: 'IMAGE_PLATFORM',
    message: /not for this node’s platform linux\/\S+, it is for: linux\/s390x; push it for/,
  },
  'an image for another platform': {
    document: JSON.parse(foreign.manifest.bytes.toString()),
    reason: 'IMAGE_PLATFORM',
    message: /it is for: linux\/s390x/,
  },
  'an index of nothing': {
    document: { schemaVersion: 2, mediaType: `${OCI}.index.v1+json`, manifests: [] },
    reason: 'IMAGE_PLATFORM',
    message: /it is for: none/,
  },
  'more layers than the config has': { document: { ...manifest, layers: [layer, layer] }, message: /has 2 layers, its config 1/ },
  'a layer of more bytes than can be counted': {
    document: { ...manifest, layers: [{ ...layer, size: 2 ** 60 }] },
    message: /a layer in it has no valid size/,
  },
  'a digest of another kind': {
    document: { ...manifest, layers: [{ ...layer, digest: `sha512:${'a'.repeat(128)}` }] },
    message: /no valid sha256 digest/,
  },
};

for (const [what, { document, type = MANIFEST, reason = 'IMAGE_MANIFEST', message }] of Object.entries(TABLE)) {
  t.test(what, async (t) => {
    const bytes = Buffer.from(JSON.stringify(document));
    const registry = await startOddRegistry(t, [image, foreign], (request, response) => {
      if (!request.url?.endsWith('/manifests/odd')) return false;
      response.writeHead(200, { 'content-type': type, 'content-length': bytes.length }).end(bytes);
      return true;
    });
    const images = openImages(t);
    const name = `${registry.host}/a/app:odd`;
    await t.rejects(images.service.pull(name, undefined, never), { name: 'RuntimeError', kind: 'unknown', reason, message });
    t.match(images.events, [{ reason }]);
    t.match(images.service.pulls().at(-1)?.error ?? '', new RegExp(name.replaceAll('.', '\\.')), 'the error names the image');
    await leavesNothing(t, images);
    t.notOk(
      registry.requests.some((line) => line.includes(layer.digest)),
      'no layer was asked for',
    );
  });
}

t.test('what the document says itself counts, not what the server says of it', async (t) => {
  const { bytes, descriptor } = image.manifest;
  const registry = await startOddRegistry(t, [image], (request, response) => {
    if (!request.url?.includes('/manifests/')) return false;
    response.writeHead(200, { 'content-type': `${OCI}.index.v1+json`, 'content-length': bytes.length }).end(bytes);
    return true;
  });
  const images = openImages(t);
  t.equal(await images.service.pull(`${registry.host}/a/app:1`, undefined, never), image.id);
  t.equal(descriptor.digest, `sha256:${createHash('sha256').update(bytes).digest('hex')}`);
});
