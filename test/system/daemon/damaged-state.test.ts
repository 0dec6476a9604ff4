import '../../fixtures/private-netns.ts';
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import t from 'tap';
import { openCgroups } from '../../../src/cgroup/index.ts';
import { cri, imageService, runtimeService } from '../../../src/gen/index.ts';
import { decodeRow, encodeRow } from '../../../src/store/codec.ts';
import { mountsUnder, startTicks, unmount } from '../../../src/sys/index.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { leftovers } from '../../fixtures/leftovers.ts';
import { busyboxImage, Pods } from '../../fixtures/pods.ts';
import { processesWith } from '../../fixtures/processes.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const registry = await startRegistry(t);
const image = await registry.pushImage('test/busybox', '1', busyboxImage());
const daemon = await startDaemon(t);
const { client } = daemon;
const pods = new Pods(daemon, image);
await pods.pull();

type Row = Record<string, unknown>;

/** Changes the text of a row of the stopped daemon's store; an undefined one is removed. */
function edit(table: string, id: string, change: (body: string) => string | undefined): void {
  const db = new DatabaseSync(`${daemon.root}/berth.db`);
  try {
    const body = change(String(db.prepare(`SELECT body FROM ${table} WHERE id = ?`).get(id)?.body));
    if (body === undefined) db.prepare(`DELETE FROM ${table} WHERE id = ?`).run(id);
    else db.prepare(`UPDATE ${table} SET body = ? WHERE id = ?`).run(body, id);
  } finally {
    db.close();
  }
}

const withFields = (change: Row) => (body: string) => {
  const row = { ...(decodeRow(body) as Row), ...change };
  for (const [name, value] of Object.entries(change)) if (value === undefined) delete row[name];
  return encodeRow(row);
};

const running = async (name: string) => {
  const sandbox = await pods.run();
  return { sandbox, id: await pods.start(sandbox, pods.container(name, 'exec sleep 1000')) };
};
const remove = (podSandboxId: string) => client.call(runtimeService.RemovePodSandbox, { podSandboxId });

t.test('one damaged record is one pod’s trouble: berth starts and the others go on', async (t) => {
  const healthy = await running('healthy');
  const unreadable = await running('unreadable');
  const foreign = await running('foreign');
  const unfinished = await running('unfinished');
  await daemon.stop();
  edit('sandboxes', unreadable.sandbox, () => '{"id": cut');
  edit('containers', foreign.id, withFields({ handler: 'gone', startedAtNs: undefined }));
  edit('containers', unfinished.id, withFields({ handler: 'gone', readyAtNs: undefined }));
  await daemon.start();

  t.match(await pods.exec(healthy.id, 'echo', 'fine'), { out: 'fine\n' });
  const { items } = await client.call(runtimeService.ListPodSandbox, {});
  t.same(items?.map(({ id }) => id).sort(), [healthy.sandbox, foreign.sandbox, unfinished.sandbox].sort());
  await t.rejects(pods.status(unreadable.id), { name: 'CallError', status: 'NOT_FOUND' }, 'what belonged to no pod is gone');
  t.equal((await pods.status(foreign.id)).state, cri.ContainerState.CONTAINER_CREATED);
  const complaints = daemon.log().filter(({ level }) => level === 'error');
  for (const id of [unreadable.sandbox, foreign.id, unfinished.id])
    t.ok(JSON.stringify(complaints).includes(id), 'the trouble is in the log');

  await daemon.stop();
  for (const { id } of [foreign, unfinished]) edit('containers', id, withFields({ handler: 'runc' }));
  await daemon.start();
  t.equal((await pods.status(foreign.id)).state, cri.ContainerState.CONTAINER_RUNNING, 'the next start tries again');
  await t.rejects(pods.status(unfinished.id), { name: 'CallError', status: 'NOT_FOUND' });
  for (const { sandbox } of [healthy, foreign, unfinished]) await remove(sandbox);
  t.same(await leftovers(daemon), []);
});

t.test('a container whose image was lost runs on, and the image can be pulled again', async (t) => {
  const { sandbox, id } = await running('c');
  const { image: found } = await client.call(imageService.ImageStatus, { image: { image } });
  await daemon.stop();
  edit('images', found?.id ?? '', () => undefined);
  await daemon.start();
  t.match(await pods.exec(id, 'echo', 'fine'), { out: 'fine\n' });
  t.equal(await pods.pull(), found?.id);
  await remove(sandbox);
  t.same(await leftovers(daemon), []);
});

t.test('after a restart of the node everything is told as ended and can be removed', async (t) => {
  const sandbox = await pods.run();
  const ran = await pods.start(sandbox, pods.container('ran', 'exec sleep 1000'));
  const waited = await pods.create(sandbox, pods.container('waited', 'true'));
  const stopped = await running('stopped');
  await client.call(runtimeService.StopPodSandbox, { podSandboxId: stopped.sandbox });
  await daemon.stop();
  // what a reboot does: no process, no mount and no run-time directory is left, and the boot has another id
  const bystander = spawn('sleep', ['1000']);
  t.teardown(() => bystander.kill());
  await openCgroups({ driver: 'cgroupfs' }).kill(daemon.cgroupParent);
  for (const pid of processesWith(daemon.state)) process.kill(pid, 'SIGKILL');
  for (const target of mountsUnder(daemon.state)) unmount(target, { detach: true });
  rmSync(daemon.state, { recursive: true });
  const pid = bystander.pid ?? 0;
  const pause = { pid, startTicks: startTicks(pid) };
  for (const id of [sandbox, stopped.sandbox]) edit('sandboxes', id, withFields({ bootId: 'an earlier one', pause }));
  for (const id of [ran, waited, stopped.id]) edit('containers', id, withFields({ bootId: 'an earlier one' }));
  await daemon.start();

  const { status } = await client.call(runtimeService.PodSandboxStatus, { podSandboxId: sandbox });
  t.equal(status?.state, cri.PodSandboxState.SANDBOX_NOTREADY);
  t.match(await pods.status(ran), { exitCode: 255, reason: 'Unknown', message: 'the node was restarted while the container ran' });
  t.match(await pods.status(waited), { exitCode: 255, message: 'the node was restarted before the container was started' });
  for (const id of [sandbox, stopped.sandbox]) await remove(id);
  t.equal(bystander.exitCode ?? bystander.signalCode, null, 'a process that has the number of an old one now is left alone');
  t.same(await leftovers(daemon), []);
  const { sandbox: next } = await running('next');
  await remove(next);
});
