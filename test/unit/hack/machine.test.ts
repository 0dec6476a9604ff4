// The leak check sees what it is there for, and compares as a multiset.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { leftBehind, machineState } from '../../../hack/lib/machine.ts';

t.test('only what is new, or there more often, was left behind', async (t) => {
  t.same(leftBehind(['a', 'b'], ['b']), []);
  t.same(leftBehind(['a'], ['a', 'b']), ['b']);
  t.same(leftBehind(['a'], ['a', 'a']), ['a']);
});

t.test('a program of ours that runs on is seen, and gone when it ended', async (t) => {
  const child = spawn('sleep', ['60'], { argv0: 'sleep', stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  const script = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '/x/src/main.ts'], { stdio: 'ignore' });
  t.teardown(() => script.kill('SIGKILL'));
  await Promise.all([once(child, 'spawn'), once(script, 'spawn')]);
  const ofPid = (pid: number | undefined) => machineState().filter((line) => line.startsWith(`process ${pid} `));
  t.same(ofPid(child.pid), [], 'sleep is not ours');
  t.match(ofPid(script.pid), [/src\/main\.ts/]);
  script.kill('SIGKILL');
  await once(script, 'exit');
  t.same(ofPid(script.pid), []);
});

t.test('mounts, links and cgroups of this machine are listed', async (t) => {
  const kinds = new Set(machineState().map((line) => line.split(' ')[0]));
  for (const kind of ['mount', 'link', 'sysctl']) t.ok(kinds.has(kind), kind);
});
