/**
 * Image archives: whatever their documents say and however their tar is
 * broken, opening one ends with images or with words, and what an image of it
 * then resolves to is checked as what a registry sends.
 */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { buildImage, buildIndex } from '../../../hack/lib/image-builder.ts';
import { buildTar } from '../../../hack/lib/tar.ts';
import { openArchive, Scratch } from '../../../src/archive/index.ts';
import { isRuntimeError } from '../../../src/errors/index.ts';
import { isDigest } from '../../../src/ids/index.ts';
import { resolveImage } from '../../../src/image/pull.ts';
import { blobPath, dockerEntries, type Files, layoutFiles, refName, scratchDir, tarOf } from '../../fixtures/archives.ts';
import { withChecksums } from '../../fixtures/fuzz/archive.ts';
import { refusal } from '../../fixtures/fuzz/errors.ts';
import { oddJson } from '../../fixtures/fuzz/json.ts';
import { fuzz, type Random } from '../../fixtures/fuzz.ts';

const never = new AbortController().signal;
const one = buildImage({ layers: [{ entries: [{ path: 'one', content: '1' }] }] });
const two = buildImage({ layers: [{ entries: [{ path: 'two', content: '2' }], compression: 'none' }], architecture: 's390x' });
const both = buildIndex([one, two]);
const layout = layoutFiles([
  { image: one, annotations: refName('reg.io/one:1') },
  { image: two, annotations: refName('v2'), platform: { os: 'linux', architecture: 's390x' } },
  { image: { manifest: both, blobs: new Map() } },
]);
const index = JSON.parse(String(layout['index.json']));
const saved = dockerEntries([{ image: one, tags: ['reg.io/one:1'] }, { image: two }]);
const rows = JSON.parse(String(saved.find(({ path }) => path === 'manifest.json')?.content));

/** Opens what is at `path` and resolves every image of it. */
async function check(path: string, scratch: Scratch): Promise<string> {
  const outcomes: string[] = [];
  try {
    await using archive = await openArchive({ path, scratch, signal: never });
    assert(archive.images.length > 0, 'an archive of nothing');
    for (const { names, tags, source } of archive.images) {
      for (const text of [...names, ...tags]) assert.equal(typeof text, 'string');
      outcomes.push(await resolved(source));
    }
    return `${archive.images.length} ${outcomes.slice(0, 3).join()}`;
  } catch (error) {
    return refusal(error, 'invalid', 'IMAGE_ARCHIVE');
  }
}

async function resolved(source: Parameters<typeof resolveImage>[0]): Promise<string> {
  try {
    const image = await resolveImage(source, 'image x', never);
    assert(isDigest(image.id) && image.layers.every(({ descriptor, diffId }) => isDigest(descriptor.digest) && isDigest(diffId)));
    return 'resolved';
  } catch (error) {
    const isArchive = isRuntimeError(error, 'IMAGE_ARCHIVE');
    return refusal(error, isArchive ? 'invalid' : 'unknown', 'IMAGE_ARCHIVE', 'IMAGE_MANIFEST', 'IMAGE_PLATFORM');
  }
}

t.test('documents of an OCI layout and of docker save', async (t) => {
  const dir = scratchDir(t);
  const scratch = new Scratch(join(dir, 'scratch'));
  const path = join(dir, 'layout');
  const files: Files = { ...layout, [blobPath(both.descriptor.digest)]: both.bytes };
  for (const entry of saved) if ((entry.type ?? 'file') === 'file') files[entry.path] = Buffer.from(entry.content ?? '');
  delete files['index.json'];
  delete files['manifest.json'];
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  const generate = (random: Random): string => (random.once(2) ? `i${oddJson(random, index)}` : `m${oddJson(random, rows)}`);
  await fuzz(t, {
    name: 'archive-documents',
    seeds: [`i${JSON.stringify(index)}`, `m${JSON.stringify(rows)}`],
    dictionary: [
      '"manifests":',
      '"annotations":',
      '"Config":',
      '"Layers":',
      '"RepoTags":',
      '../',
      '/etc/passwd',
      'blobs/sha256/',
      '"platform":{"a":',
      '\\u0000',
    ],
    generate,
    inputs: 2500,
    async check(input) {
      const [shown, hidden] = input[0] === 0x69 ? ['index.json', 'manifest.json'] : ['manifest.json', 'index.json'];
      rmSync(join(path, hidden), { force: true });
      writeFileSync(join(path, shown), input.subarray(1));
      return check(path, scratch);
    },
  });
});

t.test('the tar around them', async (t) => {
  const dir = scratchDir(t);
  const scratch = new Scratch(join(dir, 'scratch'));
  await fuzz(t, {
    name: 'archive-tar',
    seeds: [tarOf(layout), buildTar(saved)],
    dictionary: ['index.json', 'manifest.json', 'oci-layout', '../', './', 'blobs/sha256/', 'ustar\u000000', '\0\0\0\0'],
    repair: withChecksums,
    unitBytes: 512,
    maxBytes: 30_000,
    inputs: 2500,
    async check(input) {
      const path = join(dir, 'a.tar');
      writeFileSync(path, input);
      return check(path, scratch);
    },
  });
});
