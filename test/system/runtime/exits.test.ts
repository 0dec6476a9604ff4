/** Ends of containers under adverse conditions: the daemon away, the monitor killed. */
import { existsSync, readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { isAlive } from '../../../src/sys/index.ts';
import { type Bundle, type Lab, missingForContainers, openLab, until } from '../../fixtures/oci-bundle.ts';

const missing = missingForContainers();
const skip = missing === undefined ? false : `needs ${missing}`;
const signal = AbortSignal.timeout(100_000);

async function started(t: Test, script: string): Promise<{ lab: Lab; bundle: Bundle } & Awaited<ReturnType<Lab['runtime']['create']>>> {
  const lab = await openLab(t);
  const bundle = lab.bundle({ args: ['sh', '-c', script] });
  const processes = await lab.runtime.create(bundle.request, signal);
  await lab.runtime.start(bundle.id, 'runc', signal);
  return { lab, bundle, ...processes };
}

t.test('an end while nobody watched is told with its exact code on adoption, once', { skip }, async (t) => {
  const { lab, bundle, init, monitor } = await started(t, 'sleep 0.2; echo last words; exit 42');
  await lab.runtime.close();
  await until(() => !isAlive(init) && !isAlive(monitor), 'the end');
  t.strictSame(lab.exits, []);
  await lab.restart();
  t.strictSame(lab.exits, [], 'nothing is told before adoption');
  lab.runtime.adopt({ id: bundle.id, handler: 'runc', bundleDir: bundle.bundleDir, init, monitor });
  t.match(await lab.exitOf(bundle.id), { exitCode: 42 });
  t.match(readFileSync(bundle.logPath, 'utf8'), /stdout F last words/);
  await lab.runtime.delete(bundle.id, 'runc', bundle.bundleDir);
  t.equal(lab.exits.length, 1);
});

t.test('an adopted container goes on, can be signalled and exec’d, and its end is told', { skip }, async (t) => {
  const { lab, bundle, init, monitor } = await started(t, 'sleep 1000');
  await lab.restart();
  lab.runtime.adopt({ id: bundle.id, handler: 'runc', bundleDir: bundle.bundleDir, init, monitor });
  const process = { user: { uid: 0, gid: 0 }, env: ['PATH=/bin'], cwd: '/', args: ['echo', 'hi'] };
  const result = await lab.runtime.execSync(
    { id: bundle.id, handler: 'runc', bundleDir: bundle.bundleDir, process, timeoutMs: 0, streamLimitBytes: 100 },
    signal,
  );
  t.equal(Buffer.from(result.stdout).toString(), 'hi\n');
  await lab.runtime.kill(bundle.id, 'runc', 9);
  t.match(await lab.exitOf(bundle.id), { exitCode: 137 });
});

t.test('the monitor killed: the container lives, and its code is still known to its new parent', { skip }, async (t) => {
  const { lab, bundle, init, monitor } = await started(t, 'trap "exit 9" TERM; while :; do sleep 0.01; done');
  process.kill(monitor.pid, 'SIGKILL');
  await until(() => !isAlive(monitor), 'the monitor’s end');
  t.ok(isAlive(init));
  await lab.runtime.kill(bundle.id, 'runc', 15);
  t.match(await lab.exitOf(bundle.id), { exitCode: 9 });
  t.notOk(existsSync(`${lab.options.exitDir}/${bundle.id}`), 'not by a file');
  await t.rejects(lab.runtime.reopenLog(bundle.id, bundle.bundleDir, bundle.logPath), { name: 'RuntimeError', reason: 'LOG_FAILED' });
  await lab.runtime.delete(bundle.id, 'runc', bundle.bundleDir);
  t.strictSame(await lab.runtime.known(), []);
});

t.test('both killed while nobody watched: the end is told without a code', { skip }, async (t) => {
  const { lab, bundle, init, monitor } = await started(t, 'sleep 1000');
  await lab.runtime.close();
  process.kill(monitor.pid, 'SIGKILL');
  await until(() => !isAlive(monitor), 'the monitor’s end');
  process.kill(init.pid, 'SIGKILL');
  await until(() => !existsSync(`/proc/${init.pid}`), 'the end, reaped');
  await lab.restart();
  lab.runtime.adopt({ id: bundle.id, handler: 'runc', bundleDir: bundle.bundleDir, init, monitor });
  t.match(await lab.exitOf(bundle.id), { exitCode: undefined, oom: false });
});

t.test('what nobody adopted is known, and can be deleted with its monitor', { skip }, async (t) => {
  const { lab, bundle, init, monitor } = await started(t, 'sleep 1000');
  await lab.restart();
  t.strictSame(await lab.runtime.known(), [{ id: bundle.id, handler: 'runc' }]);
  await lab.runtime.delete(bundle.id, 'runc', bundle.bundleDir);
  t.notOk(isAlive(init));
  t.notOk(isAlive(monitor));
  t.strictSame(await lab.runtime.known(), []);
});
