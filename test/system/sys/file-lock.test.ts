import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { lockFile } from '../../../src/sys/index.ts';

const INDEX = new URL('../../../src/sys/index.ts', import.meta.url).href;

t.test('a lock keeps others out with the pid of its holder, until it is let go', async (t) => {
  const path = join(t.testdir(), 'lock');
  const lock = lockFile(path);
  t.notOk('heldBy' in lock);
  t.same(lockFile(path), { heldBy: String(process.pid) });
  if (!('heldBy' in lock)) lock[Symbol.dispose]();
  const again = lockFile(path);
  t.notOk('heldBy' in again);
  if (!('heldBy' in again)) again[Symbol.dispose]();
});

t.test('a lock ends with its process, however that ends', async (t) => {
  const path = join(t.testdir(), 'lock');
  const script = `import { lockFile } from ${JSON.stringify(INDEX)}; globalThis.kept = lockFile(${JSON.stringify(path)}); console.log('held'); setInterval(() => 0, 1000)`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  t.same(lockFile(path), { heldBy: String(child.pid) });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const lock = lockFile(path);
  t.notOk('heldBy' in lock);
  if (!('heldBy' in lock)) lock[Symbol.dispose]();
});
