// The reference pages are what the tables say, and the check notices when they are not.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { COMMANDS } from '../../../src/cli/index.ts';
import { CONFIG_KEYS } from '../../../src/config/index.ts';
import { REASONS } from '../../../src/errors/index.ts';
import { metricFamilies } from '../../../src/metrics/index.ts';

const SCRIPT = new URL('../../../hack/docs.ts', import.meta.url).pathname;
const DOCS = new URL('../../../docs/', import.meta.url).pathname;

t.test('the pages in docs/ are up to date', async (t) => {
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT, '--check'], { encoding: 'utf8' });
  t.equal(status, 0, stderr);
});

t.test('every key, reason, metric and command has its row', async (t) => {
  const page = (name: string): string => readFileSync(join(DOCS, name), 'utf8');
  for (const name of CONFIG_KEYS.keys()) t.ok(page('configuration.md').includes(`| \`${name}\` |`), name);
  for (const reason of Object.keys(REASONS)) t.ok(page('errors.md').includes(`| \`${reason}\` |`), reason);
  for (const { name } of metricFamilies()) t.ok(page('metrics.md').includes(`| \`${name}\` |`), name);
  for (const { name } of COMMANDS) t.ok(page('cli.md').includes(`### berth ${name}\n`), name);
});

t.test('a page that was edited, or is missing, fails the check and is named', async (t) => {
  const DOCS_DIR = t.testdir();
  const env = { ...process.env, DOCS_DIR };
  execFileSync(process.execPath, [SCRIPT], { env, stdio: 'ignore' });
  const check = () => spawnSync(process.execPath, [SCRIPT, '--check'], { env, encoding: 'utf8' });
  t.equal(check().status, 0);
  const page = join(DOCS_DIR, 'errors.md');
  writeFileSync(page, readFileSync(page, 'utf8').replace('# Errors', '# Mistakes'));
  const edited = check();
  t.equal(edited.status, 1);
  t.match(edited.stderr, /errors\.md is not what its table says: line 1 is "# Mistakes" and should be "# Errors"; run hack\/docs/);
  t.match(readFileSync(page, 'utf8'), /^# Mistakes/, 'a check writes nothing');
});
