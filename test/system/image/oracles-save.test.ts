// What the real program saves and pushes is read back by skopeo and by itself; the import directory feeds a pod.
import '../../fixtures/private-netns.ts';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import { imageService } from '../../../src/gen/index.ts';
import { blobPath, layoutFiles, refName, scratchDir, writeDirectory } from '../../fixtures/archives.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { until } from '../../fixtures/eventually.ts';
import { leftovers } from '../../fixtures/leftovers.ts';
import { busyboxImage } from '../../fixtures/pods.ts';
import { berth, says, startProgram } from '../../fixtures/program.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const dir = scratchDir(t);

const skopeo = (...argv: string[]): string =>
  execFileSync('skopeo', ['--insecure-policy', ...argv], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

const daemon = await startDaemon(t);
const { client } = daemon;
const remove = (id: string) => client.call(imageService.RemoveImage, { image: { image: id } });
const configOf = (archive: string): string =>
  /"config":\{[^}]*"digest":"(sha256:[0-9a-f]{64})"/.exec(skopeo('inspect', '--raw', archive).replace(/\s/g, ''))?.[1] ?? '';

const image = busyboxImage('gzip'); // skopeo of Debian 12 makes no docker-archive of zstd layers
const layout = writeDirectory(join(dir, 'layout'), layoutFiles([{ image, annotations: refName('reg.example/box:1') }]));

t.test('what berth saves, skopeo reads, and berth again, with equal ids', async (t) => {
  await berth(daemon, ['image', 'load', '-i', layout]);
  for (const [digest, bytes] of image.blobs) writeFileSync(join(daemon.root, 'content', blobPath(digest)), bytes);
  const oci = join(dir, 'saved-oci.tar');
  const docker = join(dir, 'saved-docker.tar');
  t.match(await berth(daemon, ['image', 'save', 'reg.example/box:1', '-o', oci]), { code: 0, err: '' });
  t.equal(statSync(oci).mode & 0o777, 0o600);
  const piped = await berth(daemon, ['image', 'save', '--format', 'docker', 'reg.example/box:1']);
  t.match(piped, { code: 0, err: '' });
  writeFileSync(docker, piped.out);
  t.equal(configOf(`oci-archive:${oci}:reg.example/box:1`), image.id);
  skopeo('copy', `oci-archive:${oci}:reg.example/box:1`, `docker-archive:${join(dir, 'saved-copied.tar')}:reg.example/box:1`);
  skopeo('copy', `docker-archive:${docker}`, `oci:${join(dir, 'saved-layout')}:reg.example/box:1`);
  t.match(JSON.parse(skopeo('inspect', '--config', `oci:${join(dir, 'saved-layout')}`)), { rootfs: { diff_ids: image.diffIds } });
  await remove(image.id);
  for (const path of [oci, docker]) {
    const { out } = await berth(daemon, ['image', 'load', '-i', path]);
    t.match(out.toString(), new RegExp(`^${image.id} reg\\.example/box:1`));
    t.match(await says(daemon, 'reg.example/box:1', '/bin/cat', '/www/index.html'), /hello from berth/);
    await remove(image.id);
  }
});

t.test('a save that fails or is interrupted leaves the file as it was', async (t) => {
  const big = buildImage({ layers: [{ entries: [{ path: 'noise', content: randomBytes(64 << 20) }], compression: 'none' }] });
  const path = writeDirectory(join(dir, 'big'), layoutFiles([{ image: big, annotations: refName('reg.example/big:1') }]));
  await berth(daemon, ['image', 'load', '-i', path]);
  for (const [digest, bytes] of big.blobs) writeFileSync(join(daemon.root, 'content', blobPath(digest)), bytes);
  const out = join(dir, 'out');
  const file = join(writeDirectory(out, { 'a.tar': 'precious' }), 'a.tar');
  const isAsBefore = (): boolean => statSync(file).size === 'precious'.length && readFileSync(file, 'utf8') === 'precious';
  const failed = await berth(daemon, ['image', 'save', 'reg.example/big:1', 'reg.example/nope:1', '-o', file]);
  t.match(failed, { code: 1, err: /reason IMAGE_NOT_FOUND/ });
  t.ok(isAsBefore());
  const child = startProgram(daemon, ['image', 'save', 'reg.example/big:1', '-o', file]);
  const exited = once(child, 'exit');
  await until(() => child.exitCode !== null || readdirSync(out).length > 1, 'it writes');
  child.kill('SIGINT');
  const [code] = (await exited) as [number | null];
  t.same(readdirSync(out), ['a.tar'], 'no half file');
  t.equal(isAsBefore(), code !== 0, `exit code ${code}`);
  t.match(await berth(daemon, ['image', 'save', 'reg.example/big:1', '-o', join(out, 'no/such/dir.tar')]), {
    code: 1,
    err: /writing .*dir\.tar failed: ENOENT/,
  });
  const pipe = join(dir, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const piped = berth(daemon, ['image', 'save', 'reg.example/big:1', '-o', pipe]);
  const listed = spawn('tar', ['-tf', pipe], { stdio: 'ignore' });
  t.same(await once(listed, 'exit'), [0, null], 'a pipe is written to, not replaced');
  t.match(await piped, { code: 0 });
  t.ok(statSync(pipe).isFIFO());
  await remove(big.id);
});

t.test('what is pushed is pulled by skopeo and is equal', async (t) => {
  const registry = await startRegistry(t);
  await berth(daemon, ['image', 'load', '-i', layout]);
  for (const [digest, bytes] of image.blobs) writeFileSync(join(daemon.root, 'content', blobPath(digest)), bytes);
  const target = `${registry.host}/team/box:1`;
  const first = await berth(daemon, ['image', 'push', 'reg.example/box:1', target]);
  t.match(first, { code: 0, err: /^[0-9.]+ [KM]iB sent, 0 B were there already\n$/ });
  t.equal(first.out.toString(), `${registry.host}/team/box@${image.manifest.descriptor.digest}\n`);
  t.match(await berth(daemon, ['image', 'push', 'reg.example/box:1', target]), { code: 0, err: /^0 B sent, / });
  const copy = join(dir, 'pushed');
  skopeo('copy', '--src-tls-verify=false', `docker://${target}`, `oci:${copy}:x`);
  for (const [digest, bytes] of image.blobs) t.same(readFileSync(join(copy, blobPath(digest))), bytes);
  await remove(image.id);
});

t.test('the import directory is loaded at start, after which a pod runs without any registry', async (t) => {
  await daemon.stop();
  writeDirectory(join(daemon.dir, 'import', 'box'), layoutFiles([{ image, annotations: refName('10.255.255.1/air/gapped:1') }]));
  await daemon.start();
  const { imageRef } = await client.call(imageService.PullImage, { image: { image: '10.255.255.1/air/gapped:1' } });
  t.equal(imageRef, image.id);
  t.match((await client.call(imageService.ImageStatus, { image: { image: image.id } })).image, { pinned: true });
  t.match(await says(daemon, '10.255.255.1/air/gapped:1', '/bin/cat', '/www/index.html'), /hello from berth/);
  await remove(image.id);
  t.same(await leftovers(daemon), []);
});
