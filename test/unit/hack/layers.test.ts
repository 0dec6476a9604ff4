// A planted violation of each kind is found, and what the rule allows is not.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { readImportGraph } from '../../../hack/layers/imports.ts';
import { importCycles, layerViolations } from '../../../hack/layers/rules.ts';

const SCRIPT = new URL('../../../hack/layers.ts', import.meta.url).pathname;

function plant(root: string, files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

const CLEAN = {
  'src/sys/index.ts': `import koffi from 'koffi';\nexport const call: number = koffi.load('x') ? 1 : 2;`,
  'src/store/index.ts': `export interface Table { x: number }\nexport const open = 1;`,
  'src/runtime/index.ts': `import type { Table } from '../store/index.ts';\nexport type T = Table;`,
  'src/snapshot/index.ts': `export const worker = new URL('./worker.ts', import.meta.url);`,
  'src/snapshot/worker.ts': `export {};`,
  'src/image/index.ts': `export const w = new Worker(new URL('../snapshot/worker.ts', import.meta.url));`,
  'src/container/index.ts': `import { w } from '../image/index.ts';\nimport type { T } from '../runtime/index.ts';\nexport const x = w; export type Y = T;`,
  'src/main.ts': `import { x } from './container/index.ts';\nconsole.log(x);`,
};

t.test('a tree that keeps the rule has no violation', async (t) => {
  const root = t.testdir();
  plant(root, CLEAN);
  const graph = readImportGraph(root, 'src');
  t.equal(graph.size, 8);
  t.same(layerViolations(graph), []);
  t.same(importCycles(graph), []);
});

const PLANTED: readonly [what: string, file: string, text: string][] = [
  ['a mechanism imports the domain', 'src/runtime/bad.ts', `import { x } from '../container/index.ts';\nconsole.log(x);`],
  ['a mechanism imports the type of another', 'src/store/bad.ts', `import type { T } from '../runtime/index.ts';\nexport type U = T;`],
  ['a mechanism imports a value of the store', 'src/runtime/bad.ts', `import { open } from '../store/index.ts';\nconsole.log(open);`],
  ['an inline type import', 'src/store/bad.ts', `export const x: import('../runtime/index.ts').T = 1;`],
  ['a re-export', 'src/sys/bad.ts', `export * from '../store/index.ts';`],
  ['a dynamic import', 'src/sys/bad.ts', `export const x = await import('../store/index.ts');`],
  ['past the index', 'src/image/bad.ts', `import '../snapshot/worker.ts';`],
  ['koffi outside sys', 'src/snapshot/bad.ts', `import koffi from 'koffi';\nkoffi.load('x');`],
  ['a child process outside sys', 'src/network/bad.ts', `import { spawn } from 'node:child_process';\nspawn('x');`],
  ['generated code in the domain', 'src/image/bad.ts', `import type { X } from '../gen/api.js';\nexport type Y = X;`],
  ['the command line into the domain', 'src/cli/bad.ts', `import { w } from '../image/index.ts';\nconsole.log(w);`],
  ['an image that knows containers', 'src/image/bad.ts', `import { x } from '../container/index.ts';\nconsole.log(x);`],
  ['tests in the source', 'src/image/bad.ts', `import '../../test/x.ts';`],
  ['a folder nobody placed', 'src/utils/bad.ts', `import '../sys/index.ts';`],
];

for (const [what, file, text] of PLANTED) {
  t.test(`found: ${what}`, async (t) => {
    const root = t.testdir();
    plant(root, { ...CLEAN, 'src/gen/api.js': '', [file]: text });
    const violations = layerViolations(readImportGraph(root, 'src'));
    t.same([...new Set(violations.map((violation) => violation.from))], [file]);
  });
}

t.test('a cycle is found once, and the command fails on it', async (t) => {
  const root = t.testdir();
  plant(root, {
    'src/image/a.ts': `import type { B } from './b.ts';\nexport type A = B;`,
    'src/image/b.ts': `import type { A } from './a.ts';\nexport type B = A;`,
  });
  t.same(importCycles(readImportGraph(root, 'src')), [['src/image/a.ts', 'src/image/b.ts', 'src/image/a.ts']]);
  const run = spawnSync(process.execPath, [SCRIPT, root], { encoding: 'utf8' });
  t.equal(run.status, 1);
  t.match(run.stdout, 'cycle: src/image/a.ts → src/image/b.ts → src/image/a.ts');
});

t.test('the command passes a clean tree and rejects one that does not parse', async (t) => {
  const root = t.testdir();
  plant(root, CLEAN);
  t.equal(spawnSync(process.execPath, [SCRIPT, root]).status, 0);
  plant(root, { 'src/broken.ts': 'import {' });
  t.not(spawnSync(process.execPath, [SCRIPT, root]).status, 0);
});
