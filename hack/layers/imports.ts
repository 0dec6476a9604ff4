// Reads which files a TypeScript file imports, types included.
//
// TypeScript 7 has no compiler API, so the usual checkers cannot read its syntax (docs/adr/0001). The parser
// here is oxc's, which knip brings anyway. Reported are static imports and re-exports, `import()` of a literal,
// `import('x').T` in types, and `new URL('./x.ts', import.meta.url)`, which is how a worker is started.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseSync, Visitor } from 'oxc-parser';

export interface Import {
  /** Path relative to the root ('src/sys/index.ts') or the specifier of a package ('koffi', 'node:fs'). */
  readonly target: string;
  readonly kind: 'value' | 'type' | 'worker';
}

/** A file's path relative to the root, and what it imports. */
export type ImportGraph = Map<string, readonly Import[]>;

/** Reads every .ts file under `root/folder`. Throws when a file does not parse. */
export function readImportGraph(root: string, folder: string): ImportGraph {
  const graph: ImportGraph = new Map();
  for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
    const file = relative(root, join(entry.parentPath, entry.name));
    graph.set(file, importsOf(root, file));
  }
  return graph;
}

function importsOf(root: string, file: string): Import[] {
  const source = readFileSync(join(root, file), 'utf8');
  const parsed = parseSync(file, source);
  const fault = parsed.errors[0];
  if (fault !== undefined) throw new Error(`${file} does not parse: ${fault.message}`);
  const found: Import[] = [];
  const add = (specifier: string, kind: Import['kind']) => {
    const target = specifier.startsWith('.') ? relative(root, resolve(root, file, '..', specifier)) : specifier;
    found.push({ target, kind });
  };
  for (const statement of parsed.module.staticImports) {
    // `import './x.ts'` has no entries and runs the file: a value.
    const typeOnly = statement.entries.length > 0 && statement.entries.every((entry) => entry.isType);
    add(statement.moduleRequest.value, typeOnly ? 'type' : 'value');
  }
  for (const statement of parsed.module.staticExports) {
    const sources = statement.entries.filter((entry) => entry.moduleRequest !== null);
    const request = sources[0]?.moduleRequest;
    if (request) add(request.value, sources.every((entry) => entry.isType) ? 'type' : 'value');
  }
  new Visitor({
    ImportExpression(node) {
      if (node.source.type === 'Literal' && typeof node.source.value === 'string') add(node.source.value, 'value');
    },
    TSImportType(node) {
      add(node.source.value, 'type');
    },
    NewExpression(node) {
      const [path, base] = node.arguments;
      if (node.callee.type !== 'Identifier' || node.callee.name !== 'URL' || base?.type !== 'MemberExpression') return;
      const literal = path?.type === 'Literal' && typeof path.value === 'string' ? path.value : '';
      if (literal.startsWith('.') && literal.endsWith('.ts')) add(literal, 'worker');
    },
  }).visit(parsed.program);
  return found;
}
