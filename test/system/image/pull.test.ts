import { lstatSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { buildImage, buildIndex, digestOf } from '../../../hack/lib/image-builder.ts';
import { usage } from '../../../src/snapshot/index.ts';
import { mountImage, openImages } from '../../fixtures/image-service.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const never = new AbortController().signal;
const BASE = {
  entries: [
    { path: 'etc/', type: 'directory' as const },
    { path: 'etc/motd', content: 'hello\n' },
  ],
};

t.test('an image of gzip, zstd and plain layers is pulled, found by all its names, and mounts as one tree', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t, { pinned: ['127.0.0.1:*/demo:*'] });
  const built = buildImage({
    layers: [
      {
        entries: [
          { path: './', type: 'directory', mode: 0o755 },
          { path: 'bin/', type: 'directory' },
          { path: 'bin/tool', content: '#!tool', mode: 0o4755, uid: 3, gid: 4, mtime: 1_600_000_000.25 },
          { path: 'bin/alias', type: 'hardlink', target: 'bin/tool' },
          { path: 'bin/sh', type: 'symlink', target: 'tool' },
          { path: 'gone', content: 'x' },
          { path: 'dir/', type: 'directory' },
          { path: 'dir/old', content: 'x' },
          { path: 'tmp/', type: 'directory', mode: 0o1777 },
        ],
      },
      {
        entries: [
          { path: '.wh.gone' },
          { path: 'dir/', type: 'directory' },
          { path: 'dir/.wh..wh..opq' },
          { path: 'dir/new', content: 'n' },
        ],
        compression: 'zstd',
      },
      {
        entries: [
          { path: 'tmp/seed', content: 's' },
          { path: `${'long/'.repeat(40)}name`, content: 'deep' },
        ],
        compression: 'none',
      },
    ],
    config: {
      User: '1000:1000',
      Env: ['A=b'],
      Entrypoint: ['/bin/tool'],
      Cmd: ['-v'],
      WorkingDir: '/w',
      StopSignal: 'SIGINT',
      Labels: { l: '1' },
      Volumes: { '/v': {} },
    },
  });
  const name = await registry.pushImage('demo', '1', built);
  const id = await images.service.pull(name, undefined, never);
  t.equal(id, built.id, 'the id is the digest of the config');
  const record = images.service.find(name);
  t.match(record, {
    id,
    repoTags: [name],
    repoDigests: [`${registry.host}/demo@${built.manifest.descriptor.digest}`],
    pinned: true,
    config: {
      user: '1000:1000',
      env: ['A=b'],
      entrypoint: ['/bin/tool'],
      cmd: ['-v'],
      workingDir: '/w',
      stopSignal: 'SIGINT',
      labels: { l: '1' },
      volumes: ['/v'],
    },
  });
  t.ok((record?.sizeBytes ?? 0n) > 0n);
  for (const alias of [
    id,
    id.slice(7),
    id.slice(7, 20),
    `sha256:${id.slice(7, 10)}`,
    `${registry.host}/demo@${built.manifest.descriptor.digest}`,
  ]) {
    t.equal(images.service.find(alias), record, `found by ${alias.slice(0, 40)}`);
  }
  t.equal(images.service.find(`${registry.host}/demo:2`), undefined);

  const root = mountImage(t, images, id);
  t.same(readdirSync(root).sort(), ['bin', 'dir', 'long', 'tmp']);
  t.same(readdirSync(join(root, 'dir')), ['new'], 'an opaque directory hides what is below');
  t.equal(readFileSync(join(root, 'long/'.repeat(40), 'name'), 'utf8'), 'deep');
  const tool = lstatSync(join(root, 'bin/tool'), { bigint: true });
  t.match(
    { mode: tool.mode & 0o7777n, uid: tool.uid, gid: tool.gid, mtimeNs: tool.mtimeNs },
    { mode: 0o4755n, uid: 3n, gid: 4n, mtimeNs: 1_600_000_000_250_000_000n },
  );
  t.equal(lstatSync(join(root, 'bin/alias')).ino, lstatSync(join(root, 'bin/tool')).ino);
  t.equal(readlinkSync(join(root, 'bin/sh')), 'tool');
  t.equal(lstatSync(join(root, 'tmp')).mode & 0o7777, 0o1777, 'a directory that an upper layer only implies keeps its mode');
  writeFileSync(join(root, 'bin/tool'), 'changed');
  t.equal(readFileSync(join(root, 'bin/tool'), 'utf8'), 'changed');
  const [bottom = ''] = images.service.hold(id, 'reader').slice(-1);
  t.equal(readFileSync(join(bottom, 'bin/tool'), 'utf8'), '#!tool', 'the layer itself never changes');

  t.match(images.service.pulls().at(-1), { state: 'done', imageId: id, layers: [{ state: 'done' }, { state: 'done' }, { state: 'done' }] });
  t.match(images.events, [{ registry: registry.host, layersPulled: 3, layersShared: 0 }]);
  const fs = images.service.fsUsage();
  t.equal(fs.mountpoint, images.root);
  t.ok(fs.usedBytes > 0n && fs.inodesUsed > 0n);
  t.same(readdirSync(join(images.root, 'content/parts')), [], 'compressed blobs are dropped');
  const walked = await usage(join(images.root, 'layers'));
  const documents = await usage(join(images.root, 'content/blobs/sha256'));
  t.equal(fs.inodesUsed, walked.inodesUsed - 1n + documents.inodesUsed - 1n, 'the counters agree with a walk');
});

t.test('layers are shared between images, also across repositories; a moved tag leaves the old image its digest name', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const first = buildImage({ layers: [BASE, { entries: [{ path: 'one', content: '1' }] }] });
  const second = buildImage({ layers: [BASE, { entries: [{ path: 'two', content: '2' }] }], format: 'docker' });
  const name = await registry.pushImage('a/app', 'v', first);
  await images.service.pull(name, undefined, never);
  await registry.pushImage('a/app', 'v', second);
  const other = await registry.pushImage('b/app', 'v', second);
  const id = await images.service.pull(name, undefined, never);
  t.equal(id, second.id);
  t.equal(readdirSync(join(images.root, 'layers')).length, 3, 'the common layer is there once');
  t.match(images.events.at(-1), { layersPulled: 1, layersShared: 1 });
  t.match(images.service.find(first.id), { repoTags: [], repoDigests: [`${registry.host}/a/app@${first.manifest.descriptor.digest}`] });
  t.equal(await images.service.pull(other, undefined, never), second.id, 'the same image has the same id everywhere');
  t.same(images.service.find(second.id)?.repoTags, [name, other]);
  t.match(images.events.at(-1), { layersPulled: 0, layersShared: 2, bytes: 0 });
  const pulled = images.service.list().find((image) => image.id === second.id);
  t.equal(pulled?.repoDigests.length, 2);
});

t.test('an index is resolved to this machine’s image; one without it is refused with what it has', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const mine = buildImage({ layers: [BASE] });
  const foreign = buildImage({ layers: [BASE], architecture: 's390x' });
  await registry.pushImage('multi', 'mine', mine);
  await registry.pushImage('multi', 'foreign', foreign);
  const index = buildIndex([foreign, mine]);
  const name = await registry.pushIndex('multi', 'all', index);
  t.equal(await images.service.pull(name, undefined, never), mine.id);
  t.same(images.service.find(name)?.repoDigests, [`${registry.host}/multi@${index.descriptor.digest}`], 'the digest name is the index’s');
  t.ok(images.service.find(`${registry.host}/multi@${index.descriptor.digest}`));
  const byDigest = `${registry.host}/multi@${mine.manifest.descriptor.digest}`;
  t.equal(await images.service.pull(byDigest, undefined, never), mine.id);

  const only = await registry.pushIndex('multi', 'only', buildIndex([foreign], 'docker'));
  await t.rejects(images.service.pull(only, undefined, never), { reason: 'IMAGE_PLATFORM', message: /linux\/s390x/ });
  await t.rejects(images.service.pull(`${registry.host}/multi:foreign`, undefined, never), {
    name: 'RuntimeError',
    reason: 'IMAGE_PLATFORM',
  });
});

t.test('what the registry does not have is not found, with the image’s name', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  for (const name of [`${registry.host}/no/such:image`, `${registry.host}/no/such@${digestOf(Buffer.from('x'))}`]) {
    await t.rejects(images.service.pull(name, undefined, never), {
      kind: 'not-found',
      reason: 'IMAGE_NOT_IN_REGISTRY',
      message: /no\/such.*not found/,
    });
  }
  await t.rejects(images.service.pull('UPPER', undefined, never), {
    name: 'RuntimeError',
    kind: 'invalid',
    reason: 'IMAGE_REFERENCE',
  });
  t.same(images.service.list(), []);
  t.match(images.service.pulls().at(-1), { state: 'failed', error: /not found/ });
});

t.test('pulls of one reference at the same time are one', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const name = await registry.pushImage('once', '1', buildImage({ layers: [BASE] }));
  const ids = await Promise.all(Array.from({ length: 5 }, () => images.service.pull(name, undefined, never)));
  t.equal(new Set(ids).size, 1);
  t.equal(images.events.length, 1);
});

t.test('an image without layers can be mounted', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const id = await images.service.pull(await registry.pushImage('empty', '1', buildImage({ layers: [] })), undefined, never);
  t.same(readdirSync(mountImage(t, images, id)), []);
  t.ok((images.service.find(id)?.sizeBytes ?? 0n) > 0n);
});

t.test('the same layer twice in an image is mounted once', async (t) => {
  const registry = await startRegistry(t);
  const images = openImages(t);
  const built = buildImage({ layers: [BASE, { entries: [{ path: 'etc/motd', content: 'new' }] }, BASE] });
  const id = await images.service.pull(await registry.pushImage('twice', '1', built), undefined, never);
  t.equal(readFileSync(join(mountImage(t, images, id), 'etc/motd'), 'utf8'), 'hello\n', 'the topmost of the equal layers counts');
});
