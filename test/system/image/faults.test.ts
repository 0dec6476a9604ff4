import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { type BuiltImage, buildImage, digestOf } from '../../../hack/lib/image-builder.ts';
import { mountTmpfs, unmount } from '../../../src/sys/index.ts';
import { hostsDir, hostsFile } from '../../fixtures/hosts-dir.ts';
import { keptParts, leavesNothing, openImages } from '../../fixtures/image-service.ts';
import { startOddRegistry } from '../../fixtures/odd-registry.ts';
import { freePort } from '../../fixtures/registry.ts';

const never = new AbortController().signal;

/** An image whose second layer has `size` bytes that do not compress. */
const bigImage = (size: number): BuiltImage =>
  buildImage({ layers: [{ entries: [{ path: 'small', content: 'x' }] }, { entries: [{ path: 'big', content: randomBytes(size) }] }] });

t.test('a content that is not the diffID of the config is refused', async (t) => {
  const lying = buildImage({ layers: [{ entries: [{ path: 'a', content: 'a' }] }] });
  const config = JSON.parse(String(lying.blobs.get(lying.id)));
  config.rootfs.diff_ids = [`sha256:${'0'.repeat(64)}`];
  const forged = forge(lying, config);
  const registry = await startOddRegistry(t, [forged]);
  const images = openImages(t);
  await t.rejects(images.service.pull(`${registry.host}/app:0`, undefined, never), { reason: 'IMAGE_DIGEST', message: /config says/ });
  await leavesNothing(t, images);
});

/** The image with another config, all digests right. */
function forge(image: BuiltImage, config: object): BuiltImage {
  const bytes = Buffer.from(JSON.stringify(config));
  const digest = digestOf(bytes);
  const manifest = JSON.parse(String(image.manifest.bytes));
  manifest.config = { ...manifest.config, digest, size: bytes.length };
  const manifestBytes = Buffer.from(JSON.stringify(manifest));
  return {
    ...image,
    id: digest,
    blobs: new Map([...image.blobs, [digest, bytes]]),
    manifest: { bytes: manifestBytes, descriptor: { ...image.manifest.descriptor, digest: '', size: manifestBytes.length } },
  };
}

t.test('a registry that is down or fails is named with what it said, every endpoint of it', async (t) => {
  const images = openImages(t);
  const dead = `127.0.0.1:${await freePort()}`;
  await t.rejects(images.service.pull(`${dead}/app:1`, undefined, never), {
    kind: 'unknown',
    reason: 'REGISTRY_UNAVAILABLE',
    message: new RegExp(`${dead}/app:1.*http://${dead}: connection refused`),
  });
  const failing = await startOddRegistry(t, [], (_request, response) => {
    response.writeHead(503).end('busy');
    return true;
  });
  const mirrored = openImages(t, {
    hostsDir: hostsDir(t, { [`${failing.host}/hosts.toml`]: hostsFile(failing.url, [[`http://${dead}`]]) }),
  });
  await t.rejects(mirrored.service.pull(`${failing.host}/app:1`, undefined, never), {
    reason: 'REGISTRY_UNAVAILABLE',
    message: new RegExp(`http://${dead}: connection refused .*; ${failing.url}: answered 503`),
  });
  await leavesNothing(t, images);
});

t.test('a manifest or config that is cut off, endless or another is refused, and a good pull follows', async (t) => {
  const image = bigImage(1000);
  const config = image.blobs.get(image.id)!;
  const endless = async (response: ServerResponse): Promise<void> => {
    response.writeHead(200);
    while (!response.destroyed) if (!response.write(Buffer.alloc(64 * 1024, ' '))) await delay(1);
  };
  const broken = { reason: 'REGISTRY_UNAVAILABLE', message: /cannot be reached or fails \(http:\/\/127/ };
  const cases: Record<string, { of: 'manifest' | 'config'; answer: (response: ServerResponse, bytes: Buffer) => void; fails: object }> = {
    'a manifest cut off': {
      of: 'manifest',
      answer: (response, bytes) =>
        void response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(1), () => response.destroy()),
      fails: broken,
    },
    'an endless manifest': { of: 'manifest', answer: endless, fails: { ...broken, message: /longer than 4194304 bytes/ } },
    'an empty manifest': {
      of: 'manifest',
      answer: (response) => void response.end(),
      fails: { reason: 'IMAGE_MANIFEST', message: /app:0/ },
    },
    'a config cut off': {
      of: 'config',
      answer: (response, bytes) =>
        void response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(1), () => response.destroy()),
      fails: broken,
    },
    'an endless config': { of: 'config', answer: endless, fails: { ...broken, message: /longer than 8388608 bytes/ } },
    'another config': {
      of: 'config',
      answer: (response) => void response.end(Buffer.from(String(config).replace('linux', 'xinul'))),
      fails: { reason: 'IMAGE_DIGEST', message: new RegExp(`config ${image.id} of .* is not what was asked for`) },
    },
    'a config with more behind it': {
      of: 'config',
      answer: (response, bytes) => void response.end(Buffer.concat([bytes, Buffer.from(' ')])),
      fails: { reason: 'IMAGE_DIGEST', message: /is not what was asked for/ },
    },
  };
  for (const [what, { of, answer, fails }] of Object.entries(cases)) {
    let odd = true;
    const registry = await startOddRegistry(t, [image], (request, response, content) => {
      const meant = of === 'manifest' ? request.url?.includes('/manifests/') : request.url?.endsWith(image.id);
      if (!odd || meant !== true || content === undefined) return false;
      response.on('error', () => undefined);
      answer(response, content);
      return true;
    });
    const images = openImages(t);
    await t.rejects(images.service.pull(`${registry.host}/app:0`, undefined, never), { name: 'RuntimeError', ...fails }, what);
    await leavesNothing(t, images);
    odd = false;
    t.equal(await images.service.pull(`${registry.host}/app:0`, undefined, never), image.id, what);
  }
});

t.test('an answer of 404 means not found, however long the page that comes with it', async (t) => {
  const registry = await startOddRegistry(t, [], (_request, response) => {
    response.writeHead(404, { 'content-type': 'text/html' }).end('<p>'.repeat(100_000));
    return true;
  });
  const images = openImages(t);
  await t.rejects(images.service.pull(`${registry.host}/app:1`, undefined, never), {
    name: 'RuntimeError',
    kind: 'not-found',
    reason: 'IMAGE_NOT_IN_REGISTRY',
  });
});

t.test('a mirror is asked first, and the host when the mirror has nothing', async (t) => {
  const image = bigImage(1000);
  const empty = await startOddRegistry(t, []);
  const full = await startOddRegistry(t, [image]);
  const images = openImages(t, {
    hostsDir: hostsDir(t, { 'registry.example/hosts.toml': hostsFile('', [[empty.url], [`${full.url}/`]]) }),
  });
  t.equal(await images.service.pull('registry.example/app:0', undefined, never), image.id);
  t.equal(empty.requests.length, 1, 'what served once is asked first from then on');
});

t.test('schema 1 and documents that are no manifest are refused', async (t) => {
  const bodies = ['{"schemaVersion":1,"name":"x"}', 'nonsense', '{"schemaVersion":2,"config":{},"layers":[]}'];
  for (const body of bodies) {
    const registry = await startOddRegistry(t, [], (_request, response) => {
      response.end(body);
      return true;
    });
    await t.rejects(
      openImages(t).service.pull(`${registry.host}/app:0`, undefined, never),
      { name: 'RuntimeError', reason: 'IMAGE_MANIFEST' },
      body,
    );
  }
});

t.test('a caller that gives up gets its answer at once; the others go on, and the last one takes everything along', async (t) => {
  const image = bigImage(400_000);
  const hold = Promise.withResolvers<void>();
  const registry = await startOddRegistry(t, [image], async (_request, response, content) => {
    if (content === undefined || content.length < 300_000) return false;
    response.writeHead(200, { 'content-length': content.length });
    response.write(content.subarray(0, 100_000));
    await hold.promise;
    response.end(content.subarray(100_000));
    return true;
  });
  const images = openImages(t);
  const name = `${registry.host}/app:0`;
  const [leaves, stays] = [new AbortController(), new AbortController()];
  const left = images.service.pull(name, undefined, leaves.signal);
  const stayed = images.service.pull(name, undefined, stays.signal);
  while (images.service.pulls()[0]?.layers.some((layer) => layer.downloadedBytes > 50_000) !== true)
    await images.service.pullsChanged(never);
  leaves.abort();
  await t.rejects(left, { name: 'RuntimeError', kind: 'cancelled', reason: 'CANCELLED' });
  t.match(images.service.pulls(), [{ state: 'pulling' }], 'the other caller’s pull goes on');
  stays.abort();
  await t.rejects(stayed, { name: 'RuntimeError', reason: 'CANCELLED' });
  await leavesNothing(t, images, [image.layers[1]!.digest]);
  hold.resolve();
  t.equal(await images.service.pull(name, undefined, never), image.id, 'and can be had afterwards');
  await t.rejects(images.service.pull(name, undefined, AbortSignal.abort()), { name: 'RuntimeError', reason: 'CANCELLED' });
});

t.test('a full disk fails the pull with the path, and the store is as before', async (t) => {
  const dir = smallDisk(t);
  const small = bigImage(1000);
  const inflating = buildImage({ layers: [{ entries: [{ path: 'zeros', content: Buffer.alloc(16 * 1024 * 1024) }] }] });
  const registry = await startOddRegistry(t, [bigImage(6_000_000), inflating, small]);
  const images = openImages(t, { root: join(dir, 'images') });
  for (const tag of [0, 1]) {
    await t.rejects(images.service.pull(`${registry.host}/app:${tag}`, undefined, never), {
      kind: 'exhausted',
      reason: 'DISK_FULL',
      message: new RegExp(`${dir}/images/(content/parts|layers) failed`),
    });
    await leavesNothing(t, images);
    t.same(keptParts(images), [], 'what was downloaded is not kept on a full disk');
    t.same(readdirSync(join(images.root, 'trash')), [], 'the space is free again at once');
  }
  t.equal(await images.service.pull(`${registry.host}/app:2`, undefined, never), small.id, 'a small image still fits');
});

t.test('a read-only disk fails the pull with the path', async (t) => {
  const dir = smallDisk(t);
  const registry = await startOddRegistry(t, [bigImage(1000)]);
  const images = openImages(t, { root: join(dir, 'images') });
  execFileSync('mount', ['-o', 'remount,ro', dir]);
  await t.rejects(images.service.pull(`${registry.host}/app:0`, undefined, never), {
    reason: 'READ_ONLY_FILE_SYSTEM',
    message: new RegExp(`writing ${dir}/images.* failed: the file system is read-only`),
  });
  execFileSync('mount', ['-o', 'remount,rw', dir]);
  await leavesNothing(t, images);
});

/** A file system of 4 MiB with a directory `images`, until the end of `t`. */
function smallDisk(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'berth-disk-'));
  mountTmpfs(dir, { sizeBytes: 4 * 1024 * 1024, mode: 0o755 });
  t.teardown(() => {
    unmount(dir, { detach: true });
    rmSync(dir, { recursive: true, force: true });
  });
  mkdirSync(join(dir, 'images'));
  return dir;
}
