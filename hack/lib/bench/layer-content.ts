// Layers as builds leave them, grown from a plan and a seed: directories that hold a handful of files each, sources,
// programs and things compressed already, symlinks, hard links, and in upper layers files that replace lower ones and
// whiteouts that remove them. Members come sorted, parents before children, as every builder writes them.
import type { TarEntry } from '../tar.ts';
import { machineCode, noise, Random, text, word } from './content.ts';

/** So many files with sizes around a median, in bytes. */
export interface Amount {
  readonly files: number;
  readonly medianBytes: number;
}

/** What a layer is made of. */
export interface LayerPlan {
  readonly seed: number;
  /** Directories that everything new is under. */
  readonly roots: readonly string[];
  readonly text: Amount;
  readonly code: Amount;
  readonly noise: Amount;
  readonly symlinks: number;
  readonly hardLinks: number;
  /** Of what the layers below have: files written anew, files removed, directories emptied. */
  readonly replaced: number;
  readonly removed: number;
  readonly emptied: number;
  /** uid and gid of everything new. */
  readonly owner: number;
}

/** Paths of a layer, for the layers above it. */
export interface LayerPaths {
  readonly files: readonly string[];
  readonly directories: readonly string[];
}

const FILES_PER_DIRECTORY = 8;
const DEPTH_LIMIT = 9;
const EARLIEST_S = 1_735_689_600; // 2025
const YEAR_S = 31_536_000;
/** A part of files is private. */
const PRIVATE_SHARE = 0.02;

const KINDS = {
  text: { make: text, mode: 0o644, suffixes: ['.js', '.d.ts', '.json', '.md', '.py', '.h', '.conf', ''] },
  code: { make: machineCode, mode: 0o755, suffixes: ['', '.so.1', '.node', '.a'] },
  noise: { make: noise, mode: 0o644, suffixes: ['.png', '.gz', '.woff2', '.jar'] },
} as const;

/** Grows the members of a layer on top of `below`, and answers its paths as well. */
export function growLayer(plan: LayerPlan, below: readonly LayerPaths[]): { entries: TarEntry[]; paths: LayerPaths } {
  const layer = new Growth(plan);
  layer.growDirectories();
  for (const kind of ['text', 'code', 'noise'] as const) layer.growFiles(kind, plan[kind]);
  layer.growLinks();
  layer.change(below);
  return layer.result();
}

class Growth {
  readonly #plan: LayerPlan;
  readonly #random: Random;
  readonly #entries = new Map<string, TarEntry>();
  readonly #directories: string[];
  readonly #files: string[] = [];

  constructor(plan: LayerPlan) {
    this.#plan = plan;
    this.#random = new Random(plan.seed);
    this.#directories = [...plan.roots];
  }

  growDirectories(): void {
    const { text, code, noise } = this.#plan;
    const wanted = Math.ceil((text.files + code.files + noise.files) / FILES_PER_DIRECTORY);
    while (this.#directories.length < wanted) {
      const parent = this.#random.pick(this.#directories);
      if (parent.split('/').length < DEPTH_LIMIT) this.#directories.push(this.#fresh(parent, '', (path) => this.#directory(path)));
    }
  }

  growFiles(kind: keyof typeof KINDS, { files, medianBytes }: Amount): void {
    for (let at = 0; at < files; at += 1) {
      const suffix = this.#random.pick(KINDS[kind].suffixes);
      const add = (path: string): void => this.#file(path, kind, medianBytes);
      this.#files.push(this.#fresh(this.#random.pick(this.#directories), suffix, add));
    }
  }

  /** Links stand beside their targets, under a longer name, which sorts them behind. */
  growLinks(): void {
    const { symlinks, hardLinks } = this.#plan;
    for (let at = 0; at < symlinks + hardLinks; at += 1) {
      const target = this.#random.pick(this.#files);
      const path = `${target}.${at}`;
      const link: TarEntry =
        at < symlinks ? { path, type: 'symlink', target: target.split('/').at(-1) ?? '', mode: 0o777 } : { path, type: 'hardlink', target };
      this.#entries.set(path, { ...link, ...this.#ownership() });
    }
  }

  /** What it does to lower layers. */
  change(below: readonly LayerPaths[]): void {
    const files = below.flatMap((each) => each.files);
    const directories = below.flatMap((each) => each.directories);
    const { replaced, removed, emptied } = this.#plan;
    for (let at = 0; at < replaced; at += 1) this.#file(this.#random.pick(files), 'text', this.#plan.text.medianBytes);
    for (let at = 0; at < removed; at += 1) {
      const path = this.#random.pick(files);
      if (!this.#entries.has(path)) this.#marker(`${parentOf(path)}/.wh.${path.split('/').at(-1)}`);
    }
    for (let at = 0; at < emptied; at += 1) {
      const path = this.#random.pick(directories);
      this.#marker(`${path}/.wh..wh..opq`);
      this.#fresh(path, '.txt', (file) => this.#file(file, 'text', this.#plan.text.medianBytes));
    }
  }

  result(): { entries: TarEntry[]; paths: LayerPaths } {
    for (const path of [...this.#directories, ...this.#entries.keys()]) {
      for (let parent = path; parent !== ''; parent = parentOf(parent)) if (!this.#entries.has(parent)) this.#directory(parent);
    }
    // A directory sorts before everything below it, and its own names together: by path, with the slash lowest.
    const key = (path: string): string => path.replaceAll('/', '\0');
    const sorted = [...this.#entries].map(([path, entry]) => ({ key: key(path), entry })).sort((a, b) => (a.key < b.key ? -1 : 1));
    return { entries: sorted.map(({ entry }) => entry), paths: { files: this.#files, directories: this.#directories } };
  }

  /** Adds something under a name in `directory` that is not taken and answers its path. */
  #fresh(directory: string, suffix: string, add: (path: string) => void): string {
    let path = `${directory}/${word(this.#random)}${suffix}`;
    while (this.#entries.has(path)) path = `${directory}/${word(this.#random)}-${word(this.#random)}${suffix}`;
    add(path);
    return path;
  }

  #directory(path: string): void {
    this.#entries.set(path, { path: `${path}/`, type: 'directory', ...this.#ownership() });
  }

  #file(path: string, kind: keyof typeof KINDS, medianBytes: number): void {
    const { make, mode } = KINDS[kind];
    const content = make(this.#random.size(medianBytes), this.#random);
    this.#entries.set(path, { path, content, mode: this.#random.chance(PRIVATE_SHARE) ? 0o600 : mode, ...this.#ownership() });
  }

  #marker(path: string): void {
    this.#entries.set(path, { path, mode: 0, ...this.#ownership() });
  }

  #ownership(): Pick<TarEntry, 'uid' | 'gid' | 'mtime'> {
    return { uid: this.#plan.owner, gid: this.#plan.owner, mtime: EARLIEST_S + this.#random.below(YEAR_S) };
  }
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
