/** What critest once found amiss, or what berth advertises only because it is proven here (Status features). */
import '../../fixtures/private-netns.ts';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Long from 'long';
import t from 'tap';
import { cri, runtimeService } from '../../../src/gen/index.ts';
import { mountTmpfs, unmount } from '../../../src/sys/index.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { busyboxImage, Pods } from '../../fixtures/pods.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const registry = await startRegistry(t);
const image = await registry.pushImage('test/busybox', '1', busyboxImage());
const daemon = await startDaemon(t);
const { client } = daemon;
const pods = new Pods(daemon, image);
await pods.pull();
const status = await client.call(runtimeService.Status, { verbose: true });

t.test('a container is in the stats lists as soon as it is started, and out of them as soon as it is stopped', async (t) => {
  const sandbox = await pods.run();
  const listed = async (filter?: cri.ContainerStatsFilterInit): Promise<(string | undefined)[]> => {
    const { stats } = await client.call(runtimeService.ListContainerStats, filter === undefined ? {} : { filter });
    return (stats ?? []).map(({ attributes }) => attributes?.id);
  };
  t.same(await listed(), [], 'a sample from before any start');
  const first = await pods.start(sandbox, pods.container('first', 'exec sleep 1000', { labels: { colour: 'red' } }));
  t.same(await listed(), [first]);
  const second = await pods.start(sandbox, pods.container('second', 'exec sleep 1000', { labels: { colour: 'blue' } }));
  t.same((await listed()).sort(), [first, second].sort());
  t.same(await listed({ id: second }), [second]);
  t.same(await listed({ labelSelector: { colour: 'red' } }), [first]);
  t.same(await listed({ labelSelector: { colour: 'green' } }), []);
  t.equal((await client.call(runtimeService.ContainerStats, { containerId: second })).stats?.attributes?.id, second);
  await client.call(runtimeService.StopContainer, { containerId: first, timeout: Long.ZERO });
  t.same(await listed(), [second]);
  await t.rejects(client.call(runtimeService.ContainerStats, { containerId: first }), {
    name: 'CallError',
    status: 'FAILED_PRECONDITION',
    reason: 'CONTAINER_NOT_RUNNING',
  });
  const other = await pods.run();
  const { stats: sandboxes } = await client.call(runtimeService.ListPodSandboxStats, {});
  t.same(sandboxes?.map(({ attributes }) => attributes?.id).sort(), [sandbox, other].sort());
  for (const podSandboxId of [sandbox, other]) await client.call(runtimeService.RemovePodSandbox, { podSandboxId });
  t.same((await client.call(runtimeService.ListPodSandboxStats, {})).stats ?? [], []);
});

const info = JSON.parse(status.info?.runtime ?? '{}') as {
  handlers?: { usable: boolean; features: { recursiveReadOnlyMounts: boolean } }[];
};
const able = info.handlers?.some(({ usable, features }) => usable && features.recursiveReadOnlyMounts) === true;
const skip = able ? false : 'no OCI runtime here can mount read-only recursively (mount option rro)';

t.test('a recursively read-only mount is read-only below its submounts too', { skip }, async (t) => {
  const capable = status.runtimeHandlers?.find(({ features }) => features?.recursiveReadOnlyMounts === true);
  t.ok(capable, 'Status tells that it can be had');
  const hostPath = join(daemon.dir, 'volume');
  const submount = join(hostPath, 'tmpfs');
  mkdirSync(submount, { recursive: true });
  mountTmpfs(submount, { sizeBytes: 65_536, mode: 0o755 });
  t.teardown(() => unmount(submount));
  const sandbox = await pods.run(pods.sandbox(), capable?.name ?? '');
  const volume = { hostPath, containerPath: '/mnt', readonly: true };
  const plain = await pods.start(sandbox, pods.container('plain', 'exec sleep 1000', { mounts: [volume] }));
  t.not((await pods.exec(plain, 'sh', '-c', 'echo x > /mnt/file')).code, 0);
  t.equal((await pods.exec(plain, 'sh', '-c', 'echo x > /mnt/tmpfs/file')).code, 0, 'the submount of a plain one can be written');
  const strict = await pods.start(
    sandbox,
    pods.container('strict', 'exec sleep 1000', { mounts: [{ ...volume, recursiveReadOnly: true }] }),
  );
  const refused = await pods.exec(strict, 'sh', '-c', 'echo x > /mnt/tmpfs/other');
  t.not(refused.code, 0);
  t.match(refused.err, /Read-only file system/);
  t.match((await pods.status(strict)).mounts, [{ containerPath: '/mnt', readonly: true, recursiveReadOnly: true }]);
  for (const wrong of [
    { readonly: false },
    { propagation: cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER },
    { propagation: cri.MountPropagation.PROPAGATION_BIDIRECTIONAL },
  ]) {
    const config = pods.container('wrong', 'exec sleep 1000', { mounts: [{ ...volume, recursiveReadOnly: true, ...wrong }] });
    await t.rejects(pods.create(sandbox, config), { name: 'CallError', status: 'INVALID_ARGUMENT' }, JSON.stringify(wrong));
  }
  const { containers } = await client.call(runtimeService.ListContainers, {});
  t.same(containers?.map(({ id }) => id).sort(), [plain, strict].sort(), 'what was refused left nothing');
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
});

t.test('the groups of the image count with the policy Merge and not with Strict', async (t) => {
  t.equal(status.features?.supplementalGroupsPolicy, true);
  const sandbox = await pods.run();
  const groupsOf = async (name: string, supplementalGroupsPolicy: number) => {
    const namespaceOptions = { pid: cri.NamespaceMode.CONTAINER };
    const user = { runAsUser: { value: Long.fromNumber(1000) }, supplementalGroups: [Long.fromNumber(4321)], supplementalGroupsPolicy };
    const config = pods.container(name, 'exec sleep 1000', { linux: { resources: {}, securityContext: { namespaceOptions, ...user } } });
    const id = await pods.start(sandbox, config);
    const inside = (await pods.exec(id, 'id', '-G')).out.trim().split(' ').map(Number);
    const told = ((await pods.status(id)).user?.linux?.supplementalGroups ?? []).map(Number);
    return { inside: inside.sort((a, b) => a - b), told };
  };
  const merged = await groupsOf('merge', cri.SupplementalGroupsPolicy.Merge);
  t.same(merged, { inside: [1000, 2000, 4321], told: [1000, 2000, 4321] }, 'group 2000 has the user in the image’s /etc/group');
  const strict = await groupsOf('strict', cri.SupplementalGroupsPolicy.Strict);
  t.same(strict, { inside: [1000, 4321], told: [1000, 4321] });
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
});
