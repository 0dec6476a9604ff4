/** Commands in a running container, with real runc. */
import { readdirSync } from 'node:fs';
import t, { type Test } from 'tap';
import { type Bundle, type Lab, missingForContainers, openLab, processesWith, until } from '../../fixtures/oci-bundle.ts';

const missing = missingForContainers();
const skip = missing === undefined ? false : `needs ${missing}`;
const signal = AbortSignal.timeout(100_000);
const MIB = 1024 * 1024;

async function running(t: Test): Promise<{
  lab: Lab;
  bundle: Bundle;
  exec: (args: string[], timeoutMs?: number, options?: { limit?: number; signal?: AbortSignal }) => ReturnType<Lab['runtime']['execSync']>;
}> {
  const lab = await openLab(t);
  const bundle = lab.bundle({ args: ['sleep', '1000'] });
  await lab.runtime.create(bundle.request, signal);
  await lab.runtime.start(bundle.id, 'runc', signal);
  const { id, bundleDir } = bundle;
  const process = { user: { uid: 0, gid: 0 }, env: ['PATH=/bin', 'A=b'], cwd: '/tmp' };
  return {
    lab,
    bundle,
    exec: (args, timeoutMs = 0, options = {}) =>
      lab.runtime.execSync(
        { id, handler: 'runc', bundleDir, process: { ...process, args }, timeoutMs, streamLimitBytes: options.limit ?? MIB },
        options.signal ?? signal,
      ),
  };
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

t.test('output and exit code come back exactly', { skip }, async (t) => {
  const { exec, bundle } = await running(t);
  const result = await exec(['sh', '-c', 'echo out; echo err >&2; pwd; exit 3']);
  t.equal(result.exitCode, 3);
  t.equal(text(result.stdout), 'out\n/tmp\n');
  t.equal(text(result.stderr), 'err\n');
  for (const code of [0, 1, 126, 127, 128, 255])
    t.equal((await exec(['sh', '-c', `exit ${code}`])).exitCode, code, 'codes that runtimes use themselves are the command’s own');
  t.equal((await exec(['sh', '-c', 'kill -9 $$'])).exitCode, 137);
  const environment = text((await exec(['env'])).stdout);
  t.strictSame(
    environment
      .trim()
      .split('\n')
      .filter((line) => !/^(?:PATH|A|HOME|PWD|SHLVL)=/.test(line)),
    [],
    'nothing was added to the environment',
  );
  t.strictSame(
    readdirSync(bundle.bundleDir).filter((name) => name.startsWith('exec-')),
    [],
    'no file is left',
  );
});

t.test('what exceeds the limit of a stream is dropped, not an error', { skip }, async (t) => {
  const { exec } = await running(t);
  const result = await exec(['sh', '-c', 'dd if=/dev/zero bs=1024 count=3000 2>/dev/null; echo end >&2'], 0, { limit: MIB });
  t.equal(result.stdout.length, MIB);
  t.equal(text(result.stderr), 'end\n');
  t.equal(result.exitCode, 0);
});

t.test('a command that does not exist is an error, not an exit code', { skip }, async (t) => {
  const { exec } = await running(t);
  await t.rejects(exec(['/nope']), {
    kind: 'invalid',
    reason: 'EXEC_FAILED',
    message:
      'running "/nope" in the container failed: exec: "/nope": no such file or directory; check the command and its path inside the image',
  });
  await t.rejects(exec(['/bin/not-executable']), { kind: 'invalid', reason: 'EXEC_FAILED', message: /permission denied/ });
});

t.test('a child that keeps the output open does not hold the call', { skip }, async (t) => {
  const { exec } = await running(t);
  const result = await exec(['sh', '-c', 'sleep 4711 & echo started']);
  t.equal(text(result.stdout), 'started\n');
  t.equal(processesWith('sleep 4711').length, 1, 'and lives on');
});

t.test('a time-out kills the whole tree, and only it', { skip }, async (t) => {
  const { exec } = await running(t);
  const tree = 'setsid sh -c "sleep 4801 & sleep 4802" & (sleep 4803 &) ; trap "" TERM; sleep 4804';
  await exec(['sh', '-c', 'sleep 4805 &']);
  await t.rejects(exec(['sh', '-c', tree], 500), {
    kind: 'deadline',
    reason: 'EXEC_TIMEOUT',
    message: /^the command "sh" ran longer than its timeout of 0\.5 s and was killed with its children/,
  });
  for (const seconds of [4801, 4802, 4803, 4804]) t.strictSame(processesWith(`sleep ${seconds}`), [], `${seconds}`);
  t.equal(processesWith('sleep 4805').length, 1, 'what another exec left in the background');
  t.equal(processesWith('sleep 1000').length > 0, true, 'the container itself');
  t.equal((await exec(['true'])).exitCode, 0, 'and it can be used');
});

t.test('a caller that gives up takes its command with it', { skip }, async (t) => {
  const { exec } = await running(t);
  const controller = new AbortController();
  const pending = exec(['sleep', '4901'], 0, { signal: controller.signal });
  await until(() => processesWith('sleep 4901').length === 1, 'the command');
  controller.abort();
  await t.rejects(pending, { name: 'RuntimeError', reason: 'CANCELLED' });
  t.strictSame(processesWith('sleep 4901'), []);
});

t.test('many at once keep their outputs apart', { skip }, async (t) => {
  const { exec } = await running(t);
  const results = await Promise.all(Array.from({ length: 8 }, (_, n) => exec(['sh', '-c', `echo ${n}; exit ${n}`])));
  t.strictSame(
    results.map((result) => [result.exitCode, text(result.stdout)]),
    results.map((_, n) => [n, `${n}\n`]),
  );
});

t.test('nothing runs in a container that has ended', { skip }, async (t) => {
  const { exec, lab, bundle } = await running(t);
  await lab.runtime.kill(bundle.id, 'runc', 9);
  await lab.exitOf(bundle.id);
  await t.rejects(exec(['true']), { name: 'RuntimeError', kind: 'internal', reason: 'EXEC_FAILED' });
});
