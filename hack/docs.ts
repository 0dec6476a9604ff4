// Reference pages from the tables in src/, called by hack/docs. With --check it compares instead of writing.
// DOCS_DIR (for the test) is where the pages are; docs/ of this repository when unset.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandPage } from './pages/commands.ts';
import { configurationPage } from './pages/configuration.ts';
import { errorsPage } from './pages/errors.ts';
import { metricsPage } from './pages/metrics.ts';

const PAGES: Readonly<Record<string, () => string>> = {
  'configuration.md': configurationPage,
  'errors.md': errorsPage,
  'cli.md': commandPage,
  'metrics.md': metricsPage,
};

const dir = process.env.DOCS_DIR ?? new URL('../docs', import.meta.url).pathname;
const check = process.argv.includes('--check');
mkdirSync(dir, { recursive: true });
for (const [name, page] of Object.entries(PAGES)) {
  const file = join(dir, name);
  const text = page();
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (before === text) continue;
  if (check) {
    console.error(`${file} is not what its table says: ${firstDifference(before, text)}; run hack/docs`);
    process.exitCode = 1;
  } else {
    writeFileSync(file, text);
    console.error(`wrote ${file}`);
  }
}

/** Where two texts first differ, in words. */
function firstDifference(before: string, after: string): string {
  if (before === '') return 'it does not exist or is empty';
  const [was, is] = [before.split('\n'), after.split('\n')];
  const at = is.findIndex((line, index) => line !== was[index]);
  const line = at < 0 ? is.length : at;
  return `line ${line + 1} is ${JSON.stringify(was[line] ?? '')} and should be ${JSON.stringify(is[line] ?? '')}`;
}
