// The bundle, called by hack/build. Entries are src/main.ts (dist/berth.js) and every src/**/*-worker.ts
// (dist/<same name>.js), so that a worker is found beside the file that starts it, bundled or not.
import { globSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
const outdir = join(root, 'dist');
const workers = globSync('src/**/*-worker.ts', { cwd: root }).map((file) => ({ in: join(root, file), out: basename(file, '.ts') }));

rmSync(outdir, { recursive: true, force: true });
const result = await build({
  absWorkingDir: root,
  entryPoints: [{ in: join(root, 'src/main.ts'), out: 'berth' }, ...workers],
  outdir,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node26',
  // Native code, loaded by path from its own packages.
  external: ['koffi'],
  // The source text stays in memory: half the text, half of that.
  minify: true,
  sourcemap: true,
  // What the daemon does not run (the command line's tables, say) stays out of its memory: 9 MB less than one file.
  splitting: true,
  // CommonJS packages inside an ES module bundle call require() for Node's own modules.
  banner: { js: "import { createRequire as berthCreateRequire } from 'node:module'; const require = berthCreateRequire(import.meta.url);" },
  metafile: true,
  logLevel: 'warning',
}).catch(() => process.exit(1)); // esbuild has said why
for (const [file, { bytes }] of Object.entries(result.metafile.outputs)) {
  if (!file.includes('chunk-') && file.endsWith('.js')) console.error(`${file} ${Math.round(bytes / 1024)} KiB`);
}
