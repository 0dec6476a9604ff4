/** Real cgroups of this machine, whatever its layout: made, filled, read, killed and gone. */
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import t from 'tap';
import { openCgroups } from '../../../src/cgroup/index.ts';
import { host, missing, mounts, until } from './host.ts';

const lacking = missing();
const skip = lacking === '' ? false : `needs ${lacking}`;

t.test('create makes the leaf everywhere, remove leaves nothing, both idempotent', { skip }, async (t) => {
  const { cgroups, parent, leaf } = host(t);
  const path = leaf();
  cgroups.create(path);
  for (const mount of mounts(cgroups)) {
    t.ok(existsSync(mount + path), mount);
    t.ok(statSync(mount + path).mode & 0o1000, 'marked as made by berth');
  }
  t.ok(cgroups.read(path), 'readable');
  await cgroups.remove(path);
  await cgroups.remove(path);
  for (const mount of mounts(cgroups)) t.notOk(existsSync(mount + parent), `${mount} has no parent left`);
  t.equal(cgroups.read(path), undefined);
});

t.test('a parent that berth did not make stays, and is neither removed nor killed', { skip }, async (t) => {
  const { cgroups, parent, leaf, run } = host(t);
  const foreign = mounts(cgroups).map((mount) => mount + parent);
  for (const dir of foreign) mkdirSync(dir);
  t.teardown(() => {
    for (const dir of foreign) rmdirSync(dir);
  });
  if (cgroups.layout.legacy.cpuset !== undefined) {
    const cpuset = cgroups.layout.legacy.cpuset;
    for (const file of ['cpuset.cpus', 'cpuset.mems']) writeFileSync(`${cpuset}${parent}/${file}`, readFileSync(`${cpuset}/${file}`));
  }
  const path = leaf();
  const child = await run(path, 'exec sleep 600');
  await t.rejects(cgroups.remove(parent), { name: 'RuntimeError', reason: 'CGROUP_FAILED', kind: 'invalid' });
  await t.rejects(cgroups.kill(parent), { name: 'RuntimeError', reason: 'CGROUP_FAILED', kind: 'invalid' });
  t.equal(child.exitCode ?? child.signalCode, null, 'still running');
  await cgroups.remove(path);
  for (const dir of foreign) t.ok(existsSync(dir), dir);
});

t.test('one leaf’s removal leaves its parent to the other', { skip }, async (t) => {
  const { cgroups, parent, leaf } = host(t);
  const [first, second] = [leaf(), leaf()];
  await cgroups.remove(first);
  t.ok(mounts(cgroups).every((mount) => existsSync(mount + second)));
  await cgroups.remove(second);
  t.notOk(mounts(cgroups).some((mount) => existsSync(mount + parent)));
});

t.test('cpu time and processes grow with a busy process', { skip }, async (t) => {
  const { cgroups, leaf, run } = host(t);
  const path = leaf();
  const before = cgroups.read(path)!;
  t.equal(before.pids.current, 0n);
  await run(path, 'sleep 600 & while :; do :; done');
  await until(() => cgroups.read(path)!.cpu.usageNs > 50_000_000n, '50 ms of cpu');
  const after = cgroups.read(path)!;
  t.equal(after.pids.processes, 2n);
  t.equal(after.pids.current, 2n);
  t.equal(cgroups.pids(path).length, 2);
  t.ok(after.cpu.userNs + after.cpu.systemNs > 0n);
  t.ok(after.timestampNs > before.timestampNs);
  cgroups.read(path);
  const [busy] = cgroups.pids(path);
  process.kill(busy!, 'SIGKILL');
  await until(() => cgroups.read(path)!.pids.processes === 1n, 'one process less, read again and again');
});

t.test('memory of a process is what the kernel’s own files say', { skip }, async (t) => {
  const { cgroups, leaf, run } = host(t);
  const path = leaf();
  const child = await run(
    path,
    `exec ${process.execPath} -e "globalThis.b=Buffer.alloc(50<<20,1);console.log('ready');setInterval(()=>{},1e6)"`,
  );
  await once(child.stdout!, 'data');
  const { memory } = cgroups.read(path)!;
  const { legacy, unified } = cgroups.layout;
  const file = legacy.memory === undefined ? `${unified}${path}/memory.current` : `${legacy.memory}${path}/memory.usage_in_bytes`;
  const kernel = BigInt(readFileSync(file, 'latin1').trim());
  const difference = memory.usageBytes > kernel ? memory.usageBytes - kernel : kernel - memory.usageBytes;
  t.ok(difference * 50n <= kernel, `usage ${memory.usageBytes} is within 2 % of ${kernel}`);
  t.ok(memory.rssBytes >= BigInt(50 << 20), `rss ${memory.rssBytes}`);
  t.ok(memory.workingSetBytes >= memory.rssBytes && memory.workingSetBytes <= memory.usageBytes);
  t.ok(memory.maxUsageBytes >= memory.usageBytes - difference);
  t.ok(memory.pageFaults > 0n);
});

t.test('an out-of-memory kill is counted, limits are read', { skip }, async (t) => {
  const { cgroups, leaf, run } = host(t);
  const path = leaf();
  const { legacy, unified } = cgroups.layout;
  const limit = BigInt(24 << 20);
  const file = legacy.memory === undefined ? `${unified}${path}/memory.max` : `${legacy.memory}${path}/memory.limit_in_bytes`;
  writeFileSync(file, String(limit));
  const pids = `${legacy.pids ?? unified}${path}/pids.max`;
  writeFileSync(pids, '64');
  t.equal(cgroups.read(path)!.memory.oomKills, 0n);
  const child = await run(path, 'exec tail /dev/zero');
  const [, signal] = await once(child, 'exit');
  t.equal(signal, 'SIGKILL');
  const stats = cgroups.read(path)!;
  t.equal(stats.memory.oomKills, 1n);
  t.ok(stats.memory.failcnt > 0n);
  t.equal(stats.memory.limitBytes, limit);
  t.equal(stats.pids.limit, 64n);
});

t.test('kill ends a tree that forks all the time, and its zombies do not hold the cgroup', { skip }, async (t) => {
  const { cgroups, leaf, run } = host(t);
  const path = leaf();
  const inner = `${path}/inner`;
  cgroups.create(inner);
  const child = await run(path, '(while :; do sleep 0.001 & wait; done) & (while :; do sleep 0.001; done) & while :; do sleep 0.001; done');
  const below = await run(inner, 'exec sleep 600');
  await until(() => cgroups.pids(path).length >= 4, 'four processes');
  const exits = Promise.all([once(child, 'exit'), once(below, 'exit')]);
  await cgroups.kill(path);
  t.same(cgroups.pids(path), []);
  await exits;
  t.ok(
    mounts(cgroups).every((mount) => existsSync(mount + path)),
    'kill keeps the cgroup',
  );
  await cgroups.remove(path);
  t.notOk(mounts(cgroups).some((mount) => existsSync(mount + path)));
});

t.test('remove kills what is left, with sub-cgroups made by others', { skip }, async (t) => {
  const { cgroups, leaf, run } = host(t);
  const path = leaf();
  const child = await run(path, 'sleep 600 & exec sleep 600');
  const alien = `${mounts(cgroups)[0]}${path}/made-in-the-container`;
  mkdirSync(alien);
  chmodSync(alien, 0o755);
  const exited = once(child, 'exit');
  await cgroups.remove(path);
  await exited;
  t.notOk(mounts(cgroups).some((mount) => existsSync(mount + path)));
});

t.test('a cgroup made again under the same path is read, not its ghost', { skip }, async (t) => {
  const { cgroups, leaf, run } = host(t);
  const path = leaf();
  await run(path, 'while :; do :; done');
  await until(() => cgroups.read(path)!.cpu.usageNs > 30_000_000n, '30 ms of cpu');
  const other = openCgroups({ driver: 'cgroupfs' });
  await other.remove(path); // behind the back of the first one’s kept descriptors
  t.equal(cgroups.read(path), undefined);
  other.create(path);
  t.equal(cgroups.read(path)!.cpu.usageNs, 0n);
  cgroups.forget(path);
});

t.test('add fails with a reason when the process is gone', { skip }, async (t) => {
  const { cgroups, leaf, run } = host(t);
  const path = leaf();
  const child = await run(path, 'exit 0');
  await once(child, 'exit');
  t.throws(() => cgroups.add(path, child.pid!), { name: 'RuntimeError', reason: 'CGROUP_FAILED' });
  t.throws(() => cgroups.create('/a/../b'), { name: 'RuntimeError', reason: 'CGROUP_FAILED', kind: 'invalid' });
});

t.test(
  'v2 by itself: kill and remove on a cgroup2 mount',
  { skip: skip || (unifiedMount() === undefined && 'needs a cgroup2 mount') },
  async (t) => {
    // A cgroup of the real cgroup2 hierarchy stands for its root; its controllers are those it was given, perhaps none.
    const root = `${unifiedMount()}/berth-test-root-${process.pid}`;
    mkdirSync(root);
    t.teardown(() => rmdirSync(root));
    const cgroups = openCgroups({ driver: 'cgroupfs', root, mountinfo: `1 1 0:1 / ${root} rw - cgroup2 cgroup2 rw` });
    t.equal(cgroups.layout.mode, 'v2');
    const { leaf, run, parent } = host(t, cgroups);
    const path = leaf();
    t.equal(dirname(path), parent);
    const child = await run(path, 'sleep 600 & while :; do :; done');
    await until(() => cgroups.read(path)!.cpu.usageNs > 30_000_000n, '30 ms of cpu');
    t.equal(cgroups.read(path)!.pids.processes, 2n);
    const exited = once(child, 'exit');
    await cgroups.kill(path);
    t.equal((await exited)[1], 'SIGKILL');
    await cgroups.remove(path);
    t.notOk(existsSync(root + parent));
  },
);

function unifiedMount(): string | undefined {
  return lacking === '' ? openCgroups({ driver: 'cgroupfs' }).layout.unified : undefined;
}
