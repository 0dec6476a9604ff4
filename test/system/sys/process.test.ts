/** Processes that are not our children: start times, signals and the exit waiter. */
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import {
  type Child,
  ExitWaiter,
  isAlive,
  type ProcessRef,
  run,
  SIGNALS,
  signalProcess,
  spawn,
  startTicks,
} from '../../../src/sys/index.ts';
import { openFdCount, until } from '../../fixtures/eventually.ts';

const KILL = SIGNALS.SIGKILL ?? 9;

// The first child makes Node open what it keeps for signals; descriptors are counted after that.
await run({ argv: ['true'], timeoutMs: 10_000 });

/** A child of a child, which therefore is not ours, and its parent. */
async function grandchild(t: Test, script = 'sleep 1000 & echo $!; wait'): Promise<{ parent: Child; pid: number }> {
  const parent = spawn({ argv: ['sh', '-c', script], stdout: 'pipe' });
  t.teardown(async () => {
    parent.kill(KILL);
    await parent.exited;
  });
  const { promise, resolve } = Promise.withResolvers<number>();
  parent.stdout?.on('data', (text) => resolve(Number(text)));
  return { parent, pid: await promise };
}

function refOf(pid: number): ProcessRef {
  const ticks = startTicks(pid);
  if (ticks === undefined) throw new Error(`pid ${pid} is gone`);
  return { pid, startTicks: ticks };
}

t.test('the start time tells a process from another of the same number', async (t) => {
  const own = refOf(process.pid);
  t.ok(isAlive(own));
  t.notOk(isAlive({ ...own, startTicks: own.startTicks + 1n }));
  t.equal(startTicks(0x3fffff), undefined);
});

t.test('a signal reaches exactly the process meant', async (t) => {
  const before = openFdCount();
  const { pid } = await grandchild(t);
  const ref = refOf(pid);
  t.notOk(signalProcess({ pid, startTicks: ref.startTicks + 1n }, KILL), 'another of that number');
  t.ok(isAlive(ref));
  t.ok(signalProcess(ref, 0));
  t.ok(signalProcess(ref, KILL));
  await until(() => !isAlive(ref), 'it is gone');
  t.notOk(signalProcess(ref, KILL));
  t.throws(() => signalProcess(refOf(process.pid), 999), { code: 'EINVAL', syscall: 'pidfd_send_signal' });
  await until(() => openFdCount() <= before + 1, 'only the pipe of the helper process is open');
});

t.test('a zombie counts as gone', async (t) => {
  // sleep(1) takes the shell's place and never waits for the child that it thus inherits.
  const { pid } = await grandchild(t, 'sleep 0 & echo $!; exec sleep 1000');
  await until(() => / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')), 'it is a zombie');
  t.equal(startTicks(pid), undefined);
  const start = BigInt(readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[21] ?? '0');
  t.notOk(isAlive({ pid, startTicks: start }));
  t.notOk(signalProcess({ pid, startTicks: start }, KILL));
});

t.test('the waiter tells of the end of processes that are not our children, once each', async (t) => {
  const before = openFdCount();
  const waiter = new ExitWaiter();
  t.teardown(() => waiter.close());
  const { pid } = await grandchild(t);
  const { pid: other } = await grandchild(t);
  const told: string[] = [];
  waiter.watch(refOf(pid), () => told.push('first'));
  waiter.watch(refOf(other), () => told.push('other'));
  waiter.watch(refOf(pid), () => told.push('again'));
  signalProcess(refOf(pid), KILL);
  await until(() => told.length === 2, 'both watches of the first are told');
  t.same(told.sort(), ['again', 'first']);
  signalProcess(refOf(other), KILL);
  await until(() => told.length === 3, 'the other is told');
  waiter.close();
  waiter.close();
  await until(() => openFdCount() <= before + 2, 'no pidfd, epoll set or eventfd is left');
});

t.test('a watch on what has ended is told too, but not during the call', async (t) => {
  const waiter = new ExitWaiter();
  t.teardown(() => waiter.close());
  let told = 0;
  waiter.watch({ pid: process.pid, startTicks: 1n }, () => {
    told += 1;
  });
  t.equal(told, 0);
  await until(() => told === 1, 'told');
});

t.test('a cancelled watch and a closed waiter tell nothing', async (t) => {
  const waiter = new ExitWaiter();
  const { pid } = await grandchild(t);
  const { pid: second } = await grandchild(t);
  const told: number[] = [];
  const cancel = waiter.watch(refOf(pid), () => told.push(pid));
  cancel();
  cancel();
  waiter.watch(refOf(pid), () => told.push(-pid));
  waiter.watch(refOf(second), () => told.push(second));
  signalProcess(refOf(pid), KILL);
  await until(() => told.length > 0, 'the watch that stands is told');
  waiter.close();
  const ref = refOf(second);
  signalProcess(ref, KILL);
  await until(() => !isAlive(ref), 'the second is gone');
  t.same(told, [-pid]);
  t.throws(() => waiter.watch(refOf(process.pid), () => undefined), /closed/);
});

t.test('a cancellation from an earlier life of a descriptor number ends nothing', async (t) => {
  const waiter = new ExitWaiter();
  t.teardown(() => waiter.close());
  const { pid } = await grandchild(t);
  const { pid: second } = await grandchild(t);
  let told = 0;
  const onExit = (): void => {
    told += 1;
  };
  const stale = waiter.watch(refOf(pid), onExit);
  signalProcess(refOf(pid), KILL);
  await until(() => told === 1, 'the first is told');
  for (let i = 0; i < 8; i += 1) waiter.watch(refOf(second), onExit); // one gets the number of the closed pidfd
  stale();
  signalProcess(refOf(second), KILL);
  await until(() => told === 9, 'every watch of the second is told');
});
