// Checks the layer rule over src/: `node hack/layers.ts [ROOT]`. One line per violation and per cycle, exit 1 when there are any.
import { readImportGraph } from './layers/imports.ts';
import { importCycles, layerViolations } from './layers/rules.ts';

const root = process.argv[2] ?? new URL('..', import.meta.url).pathname;
const graph = readImportGraph(root, 'src');
const violations = layerViolations(graph);
const cycles = importCycles(graph);
for (const { from, to, rule } of violations) console.log(`${from} → ${to}: ${rule}`);
for (const cycle of cycles) console.log(`cycle: ${cycle.join(' → ')}`);
if (violations.length + cycles.length > 0) process.exit(1);
console.log(`${graph.size} files keep the layer rule`);
