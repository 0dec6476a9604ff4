// Images of others' making, built by buildah and copied by skopeo in every form, are loaded and run.
import '../../fixtures/private-netns.ts';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { imageService, operatorService } from '../../../src/gen/index.ts';
import { layoutFiles, refName, scratchDir, writeDirectory } from '../../fixtures/archives.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { leftovers } from '../../fixtures/leftovers.ts';
import { busyboxImage } from '../../fixtures/pods.ts';
import { berth, says } from '../../fixtures/program.ts';

const dir = scratchDir(t);

function run(program: string, ...argv: string[]): string {
  const env = { PATH: process.env.PATH, HOME: dir, TMPDIR: dir, STORAGE_DRIVER: 'vfs', BUILDAH_ISOLATION: 'chroot' };
  return execFileSync(program, argv, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 26 });
}

const skopeo = (...argv: string[]): string => run('skopeo', '--insecure-policy', ...argv);

/** busybox on one layer, committed by buildah in both of its forms. */
function build(): { oci: string; docker: string } {
  const buildah = (...argv: string[]): string =>
    run('buildah', '--root', join(dir, 'storage'), '--runroot', join(dir, 'runroot'), '--storage-driver', 'vfs', ...argv).trim();
  const container = buildah('from', 'scratch');
  buildah('copy', container, '/bin/busybox', '/bin/busybox');
  buildah('config', '--entrypoint', '["/bin/busybox"]', '--cmd', 'sleep 1000', '--env', 'BUILT=by-buildah', container);
  const oci = join(dir, 'buildah-oci.tar');
  const docker = join(dir, 'buildah-docker.tar');
  buildah('commit', '-q', container, `oci-archive:${oci}:reg.example/built:oci`);
  buildah('commit', '-q', container, `docker-archive:${docker}:reg.example/built:docker`);
  buildah('rm', container);
  return { oci, docker };
}

const daemon = await startDaemon(t);
const { client } = daemon;
const remove = (id: string) => client.call(imageService.RemoveImage, { image: { image: id } });
const configOf = (archive: string): string =>
  /"config":\{[^}]*"digest":"(sha256:[0-9a-f]{64})"/.exec(skopeo('inspect', '--raw', archive).replace(/\s/g, ''))?.[1] ?? '';

t.test('what buildah built is loaded and runs', async (t) => {
  const built = build();
  for (const [name, path] of Object.entries(built)) {
    const said = await berth(daemon, ['image', 'load', '-i', path]);
    t.match(said, { code: 0, err: /^layer [0-9a-f]{12} [0-9.]+ MiB: done/ }, name);
    const [id = '', tag] = said.out.toString().trim().split(' ');
    t.equal(id, configOf(`${name === 'oci' ? 'oci-archive' : 'docker-archive'}:${path}`), 'its id is the digest of its config');
    t.equal(tag, `reg.example/built:${name}`);
    t.match(await says(daemon, tag ?? '', '/bin/busybox', 'env'), /stdout F BUILT=by-buildah\n/);
    await remove(id);
  }
});

const image = busyboxImage('gzip'); // skopeo of Debian 12 makes no docker-archive of zstd layers
const layout = writeDirectory(join(dir, 'layout'), layoutFiles([{ image, annotations: refName('reg.example/box:1') }]));

t.test('what skopeo copied, from each form to each, is loaded and runs', async (t) => {
  const forms = ['oci', 'oci-archive', 'docker-archive', 'dir'];
  const address = (form: string, path: string): string => `${form}:${path}${form === 'dir' ? '' : ':reg.example/box:1'}`;
  const sources = new Map([['oci', layout]]);
  for (const form of forms.slice(1)) {
    sources.set(form, join(dir, `from-${form}`));
    skopeo('copy', address('oci', layout), address(form, join(dir, `from-${form}`)));
  }
  const ids = new Set<string>();
  for (const from of forms) {
    for (const to of forms) {
      const path = join(dir, `${from}-to-${to}`);
      skopeo('copy', address(from, sources.get(from) ?? ''), address(to, path));
      const name = to === 'dir' ? 'reg.example/box:1' : '';
      const { images } = await client.call(operatorService.LoadImages, { path, name });
      t.match(images, [{ names: ['reg.example/box:1'] }], `${from} to ${to}`);
      const [{ imageId: id } = { imageId: '' }] = images;
      ids.add(id);
      if (from === to) t.match(await says(daemon, 'reg.example/box:1', '/bin/cat', '/www/index.html'), /hello from berth/, to);
      await remove(id);
    }
  }
  t.ok(ids.has(image.id), 'an unchanged config keeps its id');
});

t.test('standard input, compressed, leaves no file; a broken one is told by that name', async (t) => {
  const tar = join(dir, 'stdin.tar');
  execFileSync('tar', ['-C', layout, '-cf', tar, '.']);
  execFileSync('zstd', ['-q', tar]);
  const before = readdirSync(dir).sort();
  const said = await berth(daemon, ['image', 'load', '--pin', '-q'], { input: `${tar}.zst`, env: { TMPDIR: dir } });
  t.match(said, { code: 0, err: '' });
  t.equal(said.out.toString(), `${image.id}\n`);
  const { image: status } = await client.call(imageService.ImageStatus, { image: { image: 'reg.example/box:1' } });
  t.match(status, { id: image.id, pinned: true });
  await remove(image.id);
  const broken = await berth(daemon, ['image', 'load', '-i', '-'], { input: import.meta.filename, env: { TMPDIR: dir } });
  t.match(broken, { code: 1, err: /^berth: the image archive standard input cannot be used: .*\n {2}reason IMAGE_ARCHIVE/ });
  t.same(readdirSync(dir).sort(), before);
  t.same((await client.call(imageService.ListImages, {})).images, []);
});

t.test('nothing is left on the machine', async (t) => {
  t.same(await leftovers(daemon), []);
});
