// The layer rule of the house (shared/design/style.md "The house", docs/adr/0001) as data and pure functions.
//
// An import goes from a layer to one right of it: main → edges → domain → mechanisms → sys → leaves.
// Beside that order there are the few exceptions and narrowings listed below, each with its reason; a type-only
// import counts like any other. Everything here is about src/; tests and hack/ may import what they like.
import type { Import, ImportGraph } from './imports.ts';

export interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: string;
}

const LAYERS: readonly (readonly string[])[] = [
  ['main'],
  ['cri', 'metrics', 'streaming', 'cli'],
  ['sandbox', 'container', 'image', 'stats'],
  ['runtime', 'network', 'snapshot', 'content', 'archive', 'registry', 'cgroup', 'security', 'store', 'events'],
  ['sys'],
  ['errors', 'log', 'async', 'ids', 'config', 'gen', 'tar'],
];

/** Imports inside one layer that are part of the design. */
const SAME_LAYER: Readonly<Record<string, readonly string[]>> = {
  stats: ['sandbox', 'container'],
  container: ['sandbox', 'image'],
  async: ['errors'],
  log: ['errors', 'ids'],
  ids: ['errors'],
  config: ['errors', 'ids'],
  tar: ['errors'],
};

/** Who alone may import a folder of src/ or a package, types included. */
const ONLY_FROM: Readonly<Record<string, readonly string[]>> = {
  gen: ['cri', 'cli'],
  koffi: ['sys'],
  'node:child_process': ['sys'],
  'node:sqlite': ['store'],
  undici: ['registry'],
  'prom-client': ['metrics'],
  'smol-toml': ['config', 'registry'], // registry: hosts files are TOML
  '@grpc/grpc-js': ['main', 'cri', 'cli', 'gen'],
  protobufjs: ['cri', 'cli', 'gen'],
  long: ['cri', 'cli', 'gen'],
};

/** Folders whose values only the composition and the command line use; the rest sees their types. */
const TYPES_ONLY: Readonly<Record<string, readonly string[]>> = {
  config: ['main', 'cli'],
};

/** The command line asks the daemon over the socket; only `doctor` looks at the node itself, through mechanisms. */
const NOT_FROM_CLI = ['sandbox', 'container', 'image', 'stats'];

/** The folder of src/ that a path is in, 'main' for the files of the composition beside them, undefined outside src/. */
function folderOf(path: string): string | undefined {
  const [top, folder, below] = path.split('/');
  if (top !== 'src') return undefined;
  return below === undefined ? 'main' : folder;
}

function packageOf(target: string): string {
  if (target.startsWith('node:')) return target;
  const parts = target.split('/');
  return parts.slice(0, target.startsWith('@') ? 2 : 1).join('/');
}

const rankOf = (folder: string): number => LAYERS.findIndex((layer) => layer.includes(folder));

/** The rule that one import breaks, or undefined. */
function brokenRule(from: string, imported: Import): string | undefined {
  const source = folderOf(from);
  if (source === undefined) return undefined;
  const target = folderOf(imported.target);
  if (target === undefined) {
    if (imported.target.startsWith('test/') || imported.target.startsWith('hack/')) return 'src/ imports neither test/ nor hack/';
    return restricted(source, packageOf(imported.target));
  }
  if (rankOf(source) < 0) return `src/${source} is in no layer: add it to hack/layers/rules.ts`;
  if (rankOf(target) < 0) return `src/${target} is in no layer: add it to hack/layers/rules.ts`;
  if (source === target) return undefined;
  const only = restricted(source, target);
  if (only !== undefined) return only;
  if (source === 'cli' && NOT_FROM_CLI.includes(target)) return 'cli talks to the daemon over the socket only';
  const isIndex = imported.target === `src/${target}/index.ts`;
  if (!isIndex && imported.kind !== 'worker' && target !== 'gen') return `only src/${target}/index.ts may be imported from another folder`;
  const typesOnlyExcept = TYPES_ONLY[target];
  if (typesOnlyExcept !== undefined && !typesOnlyExcept.includes(source) && imported.kind !== 'type') return `only types of ${target} here`;
  if (rankOf(target) > rankOf(source) || SAME_LAYER[source]?.includes(target)) return undefined;
  if (target === 'store' && imported.kind === 'type' && rankOf(source) === rankOf('store')) return undefined;
  return `${source} may not import ${target}: imports go main → edges → domain → mechanisms → sys → leaves`;
}

function restricted(source: string, target: string): string | undefined {
  const allowed = ONLY_FROM[target];
  if (allowed === undefined || allowed.includes(source)) return undefined;
  return `only ${allowed.join(', ')} may import ${target}`;
}

/** Every import that breaks a rule, in the order of the files. */
export function layerViolations(graph: ImportGraph): Violation[] {
  const violations: Violation[] = [];
  for (const [from, imports] of graph) {
    for (const imported of imports) {
      const rule = brokenRule(from, imported);
      if (rule !== undefined) violations.push({ from, to: imported.target, rule });
    }
  }
  return violations;
}

/** The cycles between files, each once, starting at the file reached first. A worker is another program, not an import. */
export function importCycles(graph: ImportGraph): string[][] {
  const done = new Set<string>();
  const cycles: string[][] = [];
  const visit = (file: string, path: string[]): void => {
    const at = path.indexOf(file);
    if (at >= 0) {
      cycles.push([...path.slice(at), file]);
      return;
    }
    if (done.has(file)) return;
    for (const { target, kind } of graph.get(file) ?? []) {
      if (kind !== 'worker' && graph.has(target)) visit(target, [...path, file]);
    }
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return cycles;
}
