/**
 * Layers are unpacked without knowing each other, so a directory that a
 * layer only implies (it has `tmp/x` but no `tmp`) is made 0755 root there,
 * and in the overlay that would hide what a lower layer says of it: `/tmp`
 * would lose its 1777. This finds such directories of an image and makes a
 * tiny layer, to be put on top, that says it again. Runs in a worker.
 */
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, lstatSync, mkdirSync, type Stats, utimesSync } from 'node:fs';
import { hasXattr } from '../sys/index.ts';

/** One layer of the image. */
export interface FixupLayer {
  dir: string;
  /** One character a byte; a set, since each path is looked up in each layer. */
  implied: ReadonlySet<string>;
  opaqueRoot: boolean;
}

const OPAQUE = 'trusted.overlay.opaque';

/** What one layer says of a path. */
type Finding = { kind: 'absent' } | { kind: 'hides' } | { kind: 'directory'; stat: Stats; opaque: boolean };

/**
 * Fills the empty directory `dir` with the directories whose metadata would
 * be lost. Returns a digest of them as the fix-up's identity and their
 * number, or undefined when nothing needs fixing. `layers` are topmost first.
 */
export function makeFixup(layers: readonly FixupLayer[], dir: string): { digest: string; directories: number } | undefined {
  const implied = new Set(layers.flatMap((layer) => [...layer.implied]));
  const lost = [...implied].filter((path) => isLost(path, layers));
  if (lost.length === 0) return undefined;
  // Parents come along, with what they have anyway: the fix-up's own would hide that too.
  const paths = [...new Set(lost.flatMap(withParents))].sort();
  const hash = createHash('sha256').update('berth fix-up\n');
  const made = paths.map((path) => ({ path, stat: resolve(path, layers)?.said }));
  for (const { path, stat } of made) {
    if (stat === undefined) continue;
    if (path !== '') mkdirSync(bytesOf(`${latin1(dir)}/${path}`));
    hash.update(`${stat.mode} ${stat.uid} ${stat.gid} ${stat.mtimeMs} ${JSON.stringify(path)}\n`);
  }
  for (const { path, stat } of made.reverse()) {
    if (stat !== undefined) copyMetadata(bytesOf(`${latin1(dir)}/${path}`), stat);
  }
  return { digest: `sha256:${hash.digest('hex')}`, directories: made.length };
}

function isLost(path: string, layers: readonly FixupLayer[]): boolean {
  const { shown, said } = resolve(path, layers) ?? {};
  if (shown === undefined || said === undefined) return false;
  return shown.mode !== said.mode || shown.uid !== said.uid || shown.gid !== said.gid;
}

/** What the overlay would show of a directory, and what the topmost layer that really holds it says. */
function resolve(path: string, layers: readonly FixupLayer[]): { shown: Stats; said: Stats } | undefined {
  let shown: Stats | undefined;
  let said: Stats | undefined;
  for (const layer of layers) {
    const finding = lookUp(path, layer);
    if (finding.kind === 'hides') break;
    if (finding.kind === 'directory') {
      shown ??= finding.stat;
      said = finding.stat;
      if (!layer.implied.has(path)) return { shown, said };
      if (finding.opaque) break;
    }
    if (layer.opaqueRoot) break;
  }
  // implied in every layer: then what is shown is as good as any
  return shown === undefined || said === undefined ? undefined : { shown, said: shown };
}

function lookUp(path: string, layer: FixupLayer): Finding {
  let opaque = false;
  let stat: Stats | undefined;
  for (const prefix of withParents(path)) {
    const full = `${latin1(layer.dir)}/${prefix}`;
    stat = lstatSync(bytesOf(full), { throwIfNoEntry: false });
    if (stat === undefined) return opaque ? { kind: 'hides' } : { kind: 'absent' };
    if (!stat.isDirectory()) return { kind: 'hides' };
    if (prefix !== '') opaque ||= hasXattr(full, OPAQUE);
  }
  return stat === undefined ? { kind: 'absent' } : { kind: 'directory', stat, opaque };
}

/** '' (the root), every parent, and the path itself. */
function withParents(path: string): string[] {
  const parts = path === '' ? [] : path.split('/');
  return ['', ...parts.map((_, at) => parts.slice(0, at + 1).join('/'))];
}

function copyMetadata(path: Buffer, stat: Stats): void {
  chownSync(path, stat.uid, stat.gid);
  chmodSync(path, stat.mode & 0o7777);
  utimesSync(path, stat.atimeMs / 1000, stat.mtimeMs / 1000);
}

const latin1 = (text: string): string => Buffer.from(text).toString('latin1');
const bytesOf = (path: string): Buffer => Buffer.from(path, 'latin1');
