/** A container from creation to deletion with real conmon and runc. */
import { existsSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import t from 'tap';
import { isAlive } from '../../../src/sys/index.ts';
import { cgroupsNamed, missingForContainers, openLab, processesWith, until } from '../../fixtures/oci-bundle.ts';

const missing = missingForContainers();
const skip = missing === undefined ? false : `needs ${missing}`;
const signal = AbortSignal.timeout(100_000);

t.test('a container runs, logs in CRI form, ends with its code, and is deleted without a trace', { skip }, async (t) => {
  const lab = await openLab(t);
  const bundle = lab.bundle({ args: ['sh', '-c', 'echo hello; echo oops >&2; exit 7'] });
  const { init, monitor } = await lab.runtime.create(bundle.request, signal);
  t.ok(isAlive(init), 'the runtime’s init waits');
  t.ok(isAlive(monitor), 'the monitor runs');
  t.equal(await lab.runtime.wasStarted(bundle.id, 'runc'), false, 'created is not started');
  t.strictSame(await lab.runtime.known(), [{ id: bundle.id, handler: 'runc' }]);
  const before = BigInt(Date.now()) * 1_000_000n;
  await lab.runtime.start(bundle.id, 'runc', signal);
  const exited = await lab.exitOf(bundle.id);
  t.match(exited, { exitCode: 7, oom: false });
  t.ok(exited.finishedAtNs >= before, 'it cannot have ended before it was started');
  t.equal(await lab.runtime.wasStarted(bundle.id, 'runc'), true);
  const lines = readFileSync(bundle.logPath, 'utf8')
    .trim()
    .split('\n')
    .sort((a, b) => a.slice(36).localeCompare(b.slice(36)));
  t.match(lines[0], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(?:Z|[+-]\d\d:\d\d) stderr F oops$/);
  t.match(lines[1], /^\S+ stdout F hello$/);

  await lab.runtime.delete(bundle.id, 'runc', bundle.bundleDir);
  await lab.runtime.delete(bundle.id, 'runc', bundle.bundleDir); // again, with nothing there
  t.equal(lab.exits.length, 1, 'told once');
  t.strictSame(await lab.runtime.known(), []);
  t.strictSame(readdirSync(lab.options.exitDir), []);
  t.strictSame(cgroupsNamed(bundle.id), []);
  t.strictSame(processesWith(bundle.id), []);
});

t.test('a start that is over in no time ends not before it began', { skip }, async (t) => {
  const lab = await openLab(t);
  for (let round = 0; round < 3; round += 1) {
    const bundle = lab.bundle({ args: ['true'] });
    await lab.runtime.create(bundle.request, signal);
    const startedAtNs = BigInt(Date.now()) * 1_000_000n;
    await lab.runtime.start(bundle.id, 'runc', signal);
    const exited = await lab.exitOf(bundle.id);
    t.ok(exited.finishedAtNs >= startedAtNs);
    t.equal(exited.exitCode, 0);
  }
});

t.test('signals end it: the first process’s, and all of them', { skip }, async (t) => {
  const lab = await openLab(t);
  const trapping = lab.bundle({ args: ['sh', '-c', 'trap "exit 5" TERM; echo ready; while :; do sleep 0.01; done'] });
  await lab.runtime.create(trapping.request, signal);
  await lab.runtime.start(trapping.id, 'runc', signal);
  await until(() => existsSync(trapping.logPath) && readFileSync(trapping.logPath, 'utf8').includes('ready'), 'the trap');
  await lab.runtime.kill(trapping.id, 'runc', 15);
  t.match(await lab.exitOf(trapping.id), { exitCode: 5 });
  await lab.runtime.kill(trapping.id, 'runc', 15); // nobody is there any more: success

  const deaf = lab.bundle({ args: ['sh', '-c', 'trap "" TERM; sleep 1000 & wait'] });
  await lab.runtime.create(deaf.request, signal);
  await lab.runtime.start(deaf.id, 'runc', signal);
  await lab.runtime.kill(deaf.id, 'runc', 9, { all: true });
  t.match(await lab.exitOf(deaf.id), { exitCode: 137, oom: false });
});

t.test('a running container is deleted by force, with its monitor', { skip }, async (t) => {
  const lab = await openLab(t);
  const bundle = lab.bundle({ args: ['sleep', '1000'] });
  const { init, monitor } = await lab.runtime.create(bundle.request, signal);
  await lab.runtime.start(bundle.id, 'runc', signal);
  await lab.runtime.delete(bundle.id, 'runc', bundle.bundleDir);
  t.notOk(isAlive(init));
  t.notOk(isAlive(monitor));
  t.strictSame(readdirSync(lab.options.exitDir), []);
  t.strictSame(cgroupsNamed(bundle.id), []);
});

t.test('an out-of-memory kill is told as one', { skip }, async (t) => {
  const lab = await openLab(t);
  const bundle = lab.bundle({
    args: ['sh', '-c', 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'],
    linux: { resources: { memory: { limit: 16 * 1024 * 1024 } } },
  });
  await lab.runtime.create(bundle.request, signal);
  await lab.runtime.start(bundle.id, 'runc', signal);
  t.match(await lab.exitOf(bundle.id), { exitCode: 137, oom: true });
});

t.test('limits of a running container can be changed', { skip }, async (t) => {
  const lab = await openLab(t);
  const bundle = lab.bundle({ args: ['sleep', '1000'], linux: { resources: { pids: { limit: 50 } } } });
  await lab.runtime.create(bundle.request, signal);
  await lab.runtime.start(bundle.id, 'runc', signal);
  const [pids] = cgroupsNamed(bundle.id).filter((path) => existsSync(`${path}/pids.max`));
  t.equal(readFileSync(`${pids}/pids.max`, 'utf8').trim(), '50');
  await lab.runtime.update(bundle.id, 'runc', { pids: { limit: 60 } });
  t.equal(readFileSync(`${pids}/pids.max`, 'utf8').trim(), '60');
  await t.rejects(lab.runtime.update(bundle.id, 'runc', { cpu: { cpus: '4096' } }), { name: 'RuntimeError', reason: 'CGROUP_FAILED' });
});

t.test('a rotated log is opened anew; one that was not rotated keeps its lines', { skip }, async (t) => {
  const lab = await openLab(t);
  const bundle = lab.bundle({ args: ['sh', '-c', 'n=0; while :; do n=$((n+1)); echo line $n; sleep 0.01; done'] });
  await lab.runtime.create(bundle.request, signal);
  await lab.runtime.start(bundle.id, 'runc', signal);
  await until(() => existsSync(bundle.logPath) && statSync(bundle.logPath).size > 0, 'the first line');
  const inode = statSync(bundle.logPath).ino;
  await lab.runtime.reopenLog(bundle.id, bundle.bundleDir, bundle.logPath);
  t.equal(statSync(bundle.logPath).ino, inode, 'the same file');
  renameSync(bundle.logPath, `${bundle.logPath}.1`);
  await lab.runtime.reopenLog(bundle.id, bundle.bundleDir, bundle.logPath);
  t.ok(existsSync(bundle.logPath), 'the new file is there on return');
  await until(() => statSync(bundle.logPath).size > 0, 'a line in the new file');
  const numbers = [`${bundle.logPath}.1`, bundle.logPath].flatMap((path) =>
    readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => Number(line.split(' ').at(-1))),
  );
  t.strictSame(
    numbers,
    numbers.map((_, index) => index + 1),
    'no line is lost or doubled',
  );
  await lab.runtime.kill(bundle.id, 'runc', 9);
  await lab.exitOf(bundle.id);
  renameSync(bundle.logPath, `${bundle.logPath}.2`);
  await t.rejects(lab.runtime.reopenLog(bundle.id, bundle.bundleDir, bundle.logPath), { name: 'RuntimeError', reason: 'LOG_FAILED' });
  t.notOk(existsSync(bundle.logPath), 'nothing is made for a container that has ended');
});

t.test('what cannot be created says why and leaves nothing', { skip }, async (t) => {
  const lab = await openLab(t);
  const cases = [
    {
      args: ['/nope'],
      error: {
        kind: 'invalid',
        reason: 'START_FAILED',
        message: 'starting "/nope" failed: exec: "/nope": no such file or directory; check the command and its path inside the image',
      },
    },
    { args: ['nope'], error: { reason: 'START_FAILED', message: /exec: "nope": executable file not found in \$PATH;/ } },
    {
      args: ['/bin/not-executable'],
      error: {
        reason: 'START_FAILED',
        message: /exec: "\/bin\/not-executable": permission denied; the command must be an executable file/,
      },
    },
    {
      args: ['/bin/sh'],
      cwd: '/bin/sh',
      error: { reason: 'START_FAILED', message: /\/bin\/sh.*: not a directory; check the working directory/ },
    },
    {
      args: ['/bin/sh'],
      linux: { namespaces: [{ type: 'network', path: '/nowhere' }] },
      error: { reason: 'CREATE_FAILED', message: /^runc could not create the container: .*\/nowhere/ },
    },
  ];
  for (const { error, ...options } of cases) {
    const bundle = lab.bundle(options);
    await t.rejects(lab.runtime.create(bundle.request, signal), error);
    t.strictSame(cgroupsNamed(bundle.id), []);
    t.strictSame(processesWith(bundle.id), []);
  }
  t.strictSame(await lab.runtime.known(), []);
  t.strictSame(readdirSync(lab.options.exitDir), []);
});

t.test('a log that cannot be written is the monitor’s failure, in its words', { skip }, async (t) => {
  const lab = await openLab(t);
  const bundle = lab.bundle({ args: ['true'] });
  await t.rejects(lab.runtime.create({ ...bundle.request, logPath: '/nowhere/at/all.log' }, signal), {
    reason: 'MONITOR_FAILED',
    message: /log file/i,
  });
  t.strictSame(await lab.runtime.known(), []);
});

t.test('a creation given up by its caller is undone', { skip }, async (t) => {
  const lab = await openLab(t);
  const bundle = lab.bundle({ args: ['sleep', '1000'] });
  const controller = new AbortController();
  const creating = lab.runtime.create(bundle.request, controller.signal);
  controller.abort();
  await t.rejects(creating, { name: 'RuntimeError', reason: 'CANCELLED' });
  t.strictSame(processesWith(bundle.id), []);
  t.strictSame(await lab.runtime.known(), []);
  t.strictSame(cgroupsNamed(bundle.id), []);
});
