/** One image as kubelet sees it: the same id in every answer, in use, while its tag moves and after its removal. */
import '../../fixtures/private-netns.ts';
import t from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import { type cri, imageService, runtimeService } from '../../../src/gen/index.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { busyboxImage, Pods } from '../../fixtures/pods.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const [here, there] = [await startRegistry(t), await startRegistry(t)];
const built = busyboxImage();
const tag = await here.pushImage('test/busybox', '1', built);
const elsewhere = await there.pushImage('mirror/of/busybox', 'other', built);
const byDigest = `${here.host}/test/busybox@${built.manifest.descriptor.digest}`;
const daemon = await startDaemon(t);
const { client } = daemon;
const pods = new Pods(daemon, tag);

const pull = async (image: string): Promise<string> => (await client.call(imageService.PullImage, { image: { image } })).imageRef;
const remove = async (image: string): Promise<void> => void (await client.call(imageService.RemoveImage, { image: { image } }));
const list = async (): Promise<cri.Image[]> => (await client.call(imageService.ListImages, {})).images ?? [];
const find = async (image: string): Promise<cri.Image | undefined> =>
  (await client.call(imageService.ImageStatus, { image: { image } })).image ?? undefined;

/** Ids that every answer about a container gives for its image. */
async function idsOf(containerId: string): Promise<string[]> {
  const status = await pods.status(containerId);
  const { containers } = await client.call(runtimeService.ListContainers, { filter: { id: containerId } });
  return [status.imageId, ...(containers ?? []).map((container) => container.imageId)];
}

t.test('the id is the same in PullImage, ListImages, ImageStatus and of containers, by whatever name', async (t) => {
  const names = [tag, elsewhere, byDigest, `${here.host}/test/busybox:any@${built.manifest.descriptor.digest}`];
  for (const name of names) t.equal(await pull(name), built.id, name);
  t.match(await list(), [{ id: built.id, repoTags: [tag, elsewhere] }]);
  t.equal((await list()).length, 1);
  const status = await find(built.id);
  for (const name of [...names, built.id.slice(7), built.id.slice(7, 19)]) t.same(await find(name), status, name);
  const { images } = await client.call(imageService.ListImages, { filter: { image: { image: byDigest } } });
  t.same(images, [status], 'a filter is a name like any other');

  const sandbox = await pods.run();
  for (const [at, name] of [built.id, tag, elsewhere, byDigest, built.id.slice(7, 19)].entries()) {
    const image = { image: name, userSpecifiedImage: tag };
    const container = await pods.create(sandbox, pods.container(`c${at}`, 'sleep 100', { image }));
    t.same(await idsOf(container), [built.id, built.id], name);
    const { image: spec, imageRef } = await pods.status(container);
    t.match(spec, { image: tag, userSpecifiedImage: tag });
    t.equal(imageRef, byDigest);
  }
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
});

t.test('a running container keeps its image’s id and files when the tag moves and when the image is removed', async (t) => {
  await pull(tag);
  const sandbox = await pods.run();
  const running = await pods.start(sandbox, pods.container('old', 'sleep 1000', { image: { image: built.id, userSpecifiedImage: tag } }));

  const newer = buildImage({ layers: [{ entries: [{ path: 'only', content: 'new' }] }], config: { Cmd: ['/only'] } });
  await here.pushImage('test/busybox', '1', newer);
  t.equal(await pull(tag), newer.id);
  t.match(await find(built.id), { id: built.id, repoTags: [elsewhere] }, 'the old one is there, without the tag');
  t.same(await idsOf(running), [built.id, built.id]);
  t.match(await pods.exec(running, 'cat', '/www/index.html'), { code: 0, out: 'hello from berth\n' });

  await remove(elsewhere);
  t.equal(await find(built.id), undefined);
  t.equal(await find(byDigest), undefined);
  t.match(await list(), [{ id: newer.id, repoTags: [tag] }]);
  t.match(await pods.exec(running, 'cat', '/www/index.html'), { code: 0, out: 'hello from berth\n' });
  t.same(await idsOf(running), [built.id, built.id], 'kubelet’s garbage collection goes by it');
  const again = pods.container('again', 'sleep 1', { image: { image: built.id } });
  await t.rejects(
    pods.create(sandbox, again),
    { name: 'CallError', status: 'NOT_FOUND', reason: 'IMAGE_NOT_FOUND' },
    'no new container of a removed image',
  );

  await daemon.kill();
  await daemon.start();
  t.match(await pods.exec(running, 'cat', '/www/index.html'), { code: 0, out: 'hello from berth\n' }, 'after a crash of the daemon too');
  t.equal(await find(built.id), undefined, 'and it does not come back');
  t.equal(await pull(elsewhere), built.id, 'until it is pulled again');
  t.match(await find(built.id), { repoTags: [elsewhere] });
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
  await remove(built.id);
  await remove(tag);
  t.same(await list(), []);
});

t.test('the user of an image is a uid or a name, never both, whatever the number', async (t) => {
  const users = {
    '1000:1000': '1000',
    '0:0': '0',
    '3000000000': '3000000000',
    'web:extra': 'web',
    web: 'web',
    '': '',
    '99999999999999999999': '99999999999999999999',
  };
  const ids: string[] = [];
  for (const [at, [User, wanted]] of Object.entries(users).entries()) {
    const image = buildImage({ layers: [{ entries: [{ path: 'x', content: User }] }], config: { User } });
    ids.push(await pull(await here.pushImage('users', `u${at}`, image)));
    const status = await find(image.id);
    const isUid = status?.uid !== null && status?.uid !== undefined;
    t.equal(isUid ? String(status.uid?.value) : status?.username, wanted, User);
    t.equal(isUid, /^\d{1,10}$/.test(wanted), User);
    t.notOk(isUid && status?.username, 'never both');
  }
  t.equal((await list()).length, ids.length, 'and the list of all is there');
  for (const id of ids) await remove(id);
});

t.test('five removals at once by different names all succeed', async (t) => {
  await here.pushImage('test/busybox', '1', built);
  for (const name of [tag, elsewhere, byDigest]) await pull(name);
  await Promise.all([tag, elsewhere, byDigest, built.id, built.id.slice(7, 20)].map(remove));
  t.same(await list(), []);
  await remove(tag);
});
