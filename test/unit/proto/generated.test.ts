/** src/gen is what hack/gen makes of proto/, and hack/gen --check notices when it is not. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

const root = join(import.meta.dirname, '../../..');

t.test('src/gen is up to date', async (t) => {
  const run = spawnSync(join(root, 'hack/gen'), ['--check'], { encoding: 'utf8' });
  t.equal(run.status, 0, run.stderr);
});

t.test('a stale file is named and fails the check', async (t) => {
  const copy = t.testdir();
  for (const part of ['proto', 'src/gen']) cpSync(join(root, part), join(copy, part), { recursive: true });
  mkdirSync(join(copy, 'hack'));
  for (const script of ['gen', 'gen.ts']) cpSync(join(root, 'hack', script), join(copy, 'hack', script));
  cpSync(join(root, 'package.json'), join(copy, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  appendFileSync(join(copy, 'src/gen/operator.d.ts'), '// edited by hand\n');
  const run = spawnSync(join(copy, 'hack/gen'), ['--check'], { encoding: 'utf8' });
  t.equal(run.status, 1);
  t.match(run.stderr, /src\/gen is not what proto\/ generates: operator\.d\.ts; run hack\/gen/);
});
