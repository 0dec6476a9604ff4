// Completes package-lock.json: `node hack/lock.ts [--check]`; `hack/lock` calls it after npm.
//
// A tool's binaries are optional packages, one per platform. A registry mirror that carries only some platforms
// makes npm write a lock file without the others, and then `npm ci` refuses that file ("Missing: ... from lock
// file"). The missing entries are added here from the names: npm skips them on every platform that is not theirs,
// so only their presence counts. Invariant: every optional dependency named in the lock file has an entry.
import { readFileSync, writeFileSync } from 'node:fs';

interface Entry {
  version?: string;
  cpu?: string[];
  dev?: boolean;
  libc?: string[];
  optional?: boolean;
  os?: string[];
  optionalDependencies?: Record<string, string>;
}

const FILE = new URL('../package-lock.json', import.meta.url);
const PLATFORM = /(android|darwin|freebsd|linux|openharmony|win32)-([a-z0-9]+)(?:-([a-z]+))?$/;

/** The entries that `packages` lacks, by their path in the lock file. Throws for a name that tells no platform. */
function missingEntries(packages: Readonly<Record<string, Entry>>): Record<string, Entry> {
  const missing: Record<string, Entry> = {};
  for (const [path, entry] of Object.entries(packages)) {
    for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
      if (packages[`node_modules/${name}`] !== undefined || packages[`${path}/node_modules/${name}`] !== undefined) continue;
      const [, os, cpu, abi] = PLATFORM.exec(name) ?? [];
      if (os === undefined || cpu === undefined)
        throw new Error(`${path} wants ${name}, which the registry did not give and whose name tells no platform`);
      missing[`node_modules/${name}`] = {
        version: range.replace(/^[\^~]/, ''),
        cpu: [cpu],
        ...(entry.dev === true && { dev: true }),
        ...(os === 'linux' && abi?.startsWith('musl') && { libc: ['musl'] }),
        optional: true,
        os: [os],
      };
    }
  }
  return missing;
}

const lock: { packages: Record<string, Entry> } = JSON.parse(readFileSync(FILE, 'utf8'));
const missing = missingEntries(lock.packages);
const names = Object.keys(missing);
if (process.argv.includes('--check')) {
  for (const name of names) console.error(`package-lock.json lacks ${name}: run hack/lock`);
  process.exitCode = names.length === 0 ? 0 : 1;
} else if (names.length > 0) {
  const entries = Object.entries({ ...lock.packages, ...missing }).sort(([a], [b]) => a.localeCompare(b, 'en'));
  writeFileSync(FILE, `${JSON.stringify({ ...lock, packages: Object.fromEntries(entries) }, null, 2)}\n`);
}
