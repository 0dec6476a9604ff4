/** Starting and running programs: real ones, their descriptors, signals and ends. */
import { spawn as nodeSpawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import {
  awaitExit,
  becomeSubreaper,
  closeFd,
  findProgram,
  holdAdopted,
  makePipe,
  run,
  SIGNALS,
  spawn,
  startTicks,
} from '../../../src/sys/index.ts';
import { openFdCount, until } from '../../fixtures/eventually.ts';

const timeoutMs = 30_000;
const KILL = SIGNALS.SIGKILL ?? 9;

t.test('exit codes and signals are told apart', async (t) => {
  t.same((await run({ argv: ['sh', '-c', 'exit 3'], timeoutMs })).status, { code: 3, signal: undefined });
  t.same((await run({ argv: ['sh', '-c', 'kill -TERM $$'], timeoutMs })).status, { code: undefined, signal: 15 });
  t.same((await run({ argv: ['true'], timeoutMs })).status, { code: 0, signal: undefined });
});

t.test('input goes in, both outputs come out whole', async (t) => {
  const input = Buffer.alloc(700_000, 'abcdefg');
  const echoed = await run({ argv: ['tee', '/dev/stderr'], input, timeoutMs });
  t.ok(echoed.stdout.equals(input));
  t.ok(echoed.stderr.equals(input));
  t.equal((await run({ argv: ['cat'], timeoutMs })).stdout.length, 0, 'without input stdin is empty');
});

t.test('a program that does not read its input is no failure', async (t) => {
  const result = await run({ argv: ['true'], input: Buffer.alloc(700_000), timeoutMs });
  t.equal(result.status.code, 0);
});

t.test('output beyond the limit is dropped and does not block the program', async (t) => {
  const result = await run({ argv: ['head', '-c', '3000000', '/dev/zero'], outputLimitBytes: 1000, timeoutMs });
  t.equal(result.status.code, 0);
  t.equal(result.stdout.length, 1000);
});

t.test('what is in the pipe at the exit is read although a grandchild holds it open', async (t) => {
  const result = await run({ argv: ['sh', '-c', 'sleep 1000 & echo $! >&2; head -c 50000 /dev/zero'], timeoutMs });
  t.equal(result.stdout.length, 50_000);
  t.notOk(result.timedOut);
  const sleeper = Number(result.stderr.toString());
  t.ok(startTicks(sleeper) !== undefined, 'the grandchild was left alone');
  process.kill(sleeper, 'SIGKILL');
});

t.test('the deadline kills the whole group, also grandchildren', async (t) => {
  const result = await run({ argv: ['sh', '-c', 'sleep 1000 & echo $!; sleep 1000; true'], timeoutMs: 300 });
  t.ok(result.timedOut);
  t.same(result.status, { code: undefined, signal: 9 });
  const grandchild = Number(result.stdout.toString());
  t.ok(grandchild > 0);
  await until(() => startTicks(grandchild) === undefined, 'the grandchild is gone');
});

t.test('an aborted run kills and rejects with the reason; one aborted before never starts', async (t) => {
  const controller = new AbortController();
  const running = run({ argv: ['sleep', '1000'], timeoutMs, signal: controller.signal });
  controller.abort(new Error('enough'));
  await t.rejects(running, { message: 'enough' });
  await t.rejects(run({ argv: ['sleep', '1000'], timeoutMs, signal: AbortSignal.abort() }), { name: 'RuntimeError', reason: 'CANCELLED' });
});

t.test('what cannot be started is told with its reason and leaves no descriptor', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'berth-spawn-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'text'), 'no program', { mode: 0o755 });
  const pipes = { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' } as const;
  const before = openFdCount();
  t.throws(() => spawn({ argv: ['berth-no-such-program'], ...pipes }), { name: 'RuntimeError', reason: 'PROGRAM_MISSING' });
  t.throws(() => spawn({ argv: ['/nowhere/program'], ...pipes }), {
    name: 'RuntimeError',
    reason: 'PROGRAM_MISSING',
    message: /\/nowhere\/program/,
  });
  t.throws(() => spawn({ argv: ['/etc/passwd'], ...pipes }), { name: 'RuntimeError', reason: 'PROGRAM_MISSING' }, 'not executable');
  t.throws(() => spawn({ argv: [directory], ...pipes }), { name: 'RuntimeError', reason: 'PROGRAM_MISSING' }, 'a directory');
  t.throws(() => spawn({ argv: [join(directory, 'text')], ...pipes }), {
    name: 'RuntimeError',
    reason: 'PROGRAM_FAILED',
    message: /ENOEXEC/,
  });
  t.throws(() => spawn({ argv: ['true'], cwd: '/nowhere', ...pipes }), {
    name: 'RuntimeError',
    reason: 'PROGRAM_FAILED',
    message: /\/nowhere does not exist/,
  });
  t.throws(() => spawn({ argv: ['true', 'a\0b'] }), { name: 'RuntimeError', reason: 'INVALID_ARGUMENT' });
  t.throws(() => spawn({ argv: ['true'], env: { A: 'x\0y' } }), { name: 'RuntimeError', reason: 'INVALID_ARGUMENT' });
  t.equal(openFdCount(), before);
  t.equal(findProgram('berth-no-such-program'), undefined);
  t.match(findProgram('sh'), /^\/.*\/sh$/);
});

t.test('the environment is exactly what was given, PATH when nothing was', async (t) => {
  process.env.BERTH_TEST_SECRET = 'x';
  t.teardown(() => delete process.env.BERTH_TEST_SECRET);
  t.equal((await run({ argv: ['env'], env: { A: '1', B: 'ü = x' }, timeoutMs })).stdout.toString(), 'A=1\nB=ü = x\n');
  t.equal((await run({ argv: ['env'], env: {}, timeoutMs })).stdout.toString(), '');
  t.equal((await run({ argv: ['env'], timeoutMs })).stdout.toString(), `PATH=${process.env.PATH}\n`);
});

t.test('working directory, session and group', async (t) => {
  t.equal((await run({ argv: ['pwd'], cwd: '/usr', timeoutMs })).stdout.toString(), '/usr\n');
  const ids = (text: Buffer): string[] =>
    text
      .toString()
      .slice(text.toString().lastIndexOf(')') + 2)
      .split(' ')
      .slice(2, 4);
  const stat = await run({ argv: ['cat', '/proc/self/stat'], timeoutMs });
  const pid = stat.stdout.toString().split(' ')[0];
  t.same(ids(stat.stdout), [pid, pid], 'leads a session and a group');
  const grouped = await run({ argv: ['cat', '/proc/self/stat'], newSession: false, timeoutMs });
  const [group, session] = ids(grouped.stdout);
  t.equal(group, grouped.stdout.toString().split(' ')[0]);
  t.equal(session, ids(readFileSync('/proc/self/stat'))[1], 'stays in our session');
});

t.test('signals are at their defaults, whatever Node does with its own', async (t) => {
  const status = (await run({ argv: ['cat', '/proc/self/status'], timeoutMs })).stdout.toString();
  t.match(status, /^SigIgn:\s0+$/m);
  t.match(status, /^SigBlk:\s0+$/m);
  const child = spawn({ argv: ['yes'], stdout: 'pipe' });
  child.stdout?.destroy();
  t.same(await child.exited, { code: undefined, signal: SIGNALS.SIGPIPE });
});

t.test('a child has its own descriptors and no other of ours', async (t) => {
  const leaky = openSync('/etc/hostname', 'r');
  const { readEnd, writeEnd } = makePipe();
  t.teardown(() => {
    closeSync(leaky);
    closeFd(readEnd);
    closeFd(writeEnd);
  });
  const list = await run({ argv: ['ls', '/proc/self/fd'], extraFds: [{ child: 3, parent: writeEnd }], timeoutMs });
  // ls itself opens one more to read the directory
  t.same(list.stdout.toString().trim().split('\n'), ['0', '1', '2', '3', '4']);
});

t.test('extra descriptors may cross over, and equal numbers are kept open', async (t) => {
  const files = ['/etc/hostname', '/etc/passwd'].map((path) => openSync(path, 'r'));
  t.teardown(() => {
    for (const fd of files) closeSync(fd);
  });
  const [a = -1, b = -1] = files;
  const show = `readlink /proc/self/fd/${a} /proc/self/fd/${b}`;
  const crossed = [
    { child: a, parent: b },
    { child: b, parent: a },
  ];
  t.equal((await run({ argv: ['sh', '-c', show], extraFds: crossed, timeoutMs })).stdout.toString(), '/etc/passwd\n/etc/hostname\n');
  const same = files.map((fd) => ({ child: fd, parent: fd }));
  t.equal((await run({ argv: ['sh', '-c', show], extraFds: same, timeoutMs })).stdout.toString(), '/etc/hostname\n/etc/passwd\n');
  t.equal(
    (await run({ argv: ['cat'], extraFds: [{ child: 0, parent: a }], timeoutMs })).stdout.toString(),
    readFileSync('/etc/hostname', 'utf8'),
  );
  t.equal(readlinkSync(`/proc/self/fd/${a}`), '/etc/hostname', 'ours are as before');
});

t.test('many runs leave no descriptor and no zombie', async (t) => {
  const before = openFdCount();
  for (let round = 0; round < 20; round += 1) {
    await Promise.all(['true', 'false', 'pwd'].map((name) => run({ argv: [name], input: 'x', timeoutMs })));
    const child = spawn({ argv: ['sleep', '1000'], stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' });
    child.kill(KILL);
    t.same(await child.exited, { code: undefined, signal: 9 });
    child.kill(KILL); // after its end: nobody is hit, nothing thrown
    t.notOk(existsSync(`/proc/${child.pid}`), 'reaped');
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
  }
  await until(() => openFdCount() <= before, 'as many descriptors as before');
});

t.test('a subreaper reaps adopted orphans, and leaves the children of libuv to libuv', async (t) => {
  becomeSubreaper();
  becomeSubreaper();
  const orphans: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const result = await run({ argv: ['sh', '-c', 'sleep 0.05 & echo $!; sleep 0.05 & echo $!'], timeoutMs });
    orphans.push(...result.stdout.toString().trim().split('\n').map(Number));
    const foreign = nodeSpawn('sh', ['-c', 'sleep 0.02; exit 7']);
    t.same((await once(foreign, 'exit'))[0], 7);
    await pause(20);
  }
  t.equal(orphans.length, 10);
  await until(() => orphans.every((pid) => !existsSync(`/proc/${pid}`)), 'no orphan is left, not even as a zombie');
  t.same((await run({ argv: ['sh', '-c', 'exit 9'], timeoutMs })).status.code, 9, 'own children still have their status');
});

t.test('an adopted orphan that has ended already can be claimed with its status, at once', async (t) => {
  becomeSubreaper();
  const hold = holdAdopted();
  t.teardown(() => hold[Symbol.dispose]());
  const { stdout } = await run({ argv: ['sh', '-c', 'sh -c "exit 42" & echo $!'], timeoutMs });
  const pid = Number(stdout.toString());
  await until(() => readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '), 'it has ended');
  const later = new Promise((resolve) => setImmediate(resolve, 'the next turn of the loop'));
  t.same(await Promise.race([awaitExit(pid), later]), { code: 42, signal: undefined });
  t.same(await awaitExit(pid), { code: undefined, signal: undefined }, 'a status can be taken once');
});

t.test('two who wait for the same running process both get its status', async (t) => {
  const child = spawn({ argv: ['sleep', '1000'] });
  const second = awaitExit(child.pid);
  child.kill(KILL);
  t.same(await Promise.all([child.exited, second]), Array(2).fill({ code: undefined, signal: 9 }));
});
