/**
 * How a pull under way is shown. On a terminal: a bar a layer, redrawn in
 * place. Elsewhere: one plain line when a layer is done, so that a log file
 * stays readable. Drawing is pure; PullView only remembers what it drew.
 */
import type Long from 'long';
import { operator } from '../gen/index.ts';
import type { Terminal } from './command.ts';
import { formatBytes } from './units.ts';

const { LayerState, PullState } = operator;
const NS_PER_MS = 1e6;
const BAR_WIDTH = 24;
const SHORT_DIGEST_LENGTH = 12;
/** Bars drawn at most; an image may have hundreds of layers, a terminal has some dozen lines. */
const BAR_LINES = 16;

/** A layer's digest as it is shown. */
function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, SHORT_DIGEST_LENGTH);
}

/** The pull's lines for a terminal of `columns` columns. */
export function pullBars(pull: operator.PullProgress, columns: number): string[] {
  if (pull.layers.length === 0) return [`${pull.reference}: resolving`.slice(0, columns - 1)];
  const done = pull.layers.filter(isDone).length;
  const unfinished = pull.layers.filter((layer) => !isDone(layer));
  const shown = pull.layers.length <= BAR_LINES ? pull.layers : unfinished.slice(0, BAR_LINES);
  const lines = [`${pull.reference}: ${done}/${pull.layers.length} layers, ${totals(pull.layers)}`, ...shown.map(layerBar)];
  return lines.map((line) => line.slice(0, Math.max(1, columns - 1)));
}

function isDone(layer: operator.LayerProgress): boolean {
  return layer.state === LayerState.LAYER_DONE || layer.state === LayerState.LAYER_SHARED;
}

function totals(layers: readonly operator.LayerProgress[]): string {
  const fetched = layers.filter((layer) => layer.state !== LayerState.LAYER_SHARED);
  const sum = (of: (layer: operator.LayerProgress) => number): number => fetched.reduce((total, layer) => total + of(layer), 0);
  return `${formatBytes(sum((layer) => layer.downloadedBytes.toNumber()))} of ${formatBytes(sum((layer) => layer.totalBytes.toNumber()))}`;
}

function layerBar(layer: operator.LayerProgress): string {
  const total = layer.totalBytes.toNumber();
  const part = isDone(layer) ? 1 : total === 0 ? 0 : Math.min(1, layer.downloadedBytes.toNumber() / total);
  const full = Math.floor(part * BAR_WIDTH);
  const bar = '='.repeat(full) + (full < BAR_WIDTH ? '>'.padEnd(BAR_WIDTH - full) : '');
  return `  ${shortDigest(layer.digest)} [${bar}] ${formatBytes(total).padStart(9)} ${stateWord(layer)}`;
}

function stateWord(layer: operator.LayerProgress): string {
  if (layer.state === LayerState.LAYER_DONE) return 'done';
  if (layer.state === LayerState.LAYER_SHARED) return 'on the node already';
  if (layer.state === LayerState.LAYER_UNPACKING) return 'unpacking';
  if (layer.state === LayerState.LAYER_WAITING) return 'waiting';
  return `${Math.floor((100 * layer.downloadedBytes.toNumber()) / Math.max(1, layer.totalBytes.toNumber()))} %`;
}

/** True when `reference`, as the daemon normalized it, is what the user wrote as `given`. */
export function isPullOf(reference: string, given: string): boolean {
  const withoutTag = given.replace(/:[^/@]*@/, '@');
  return [withoutTag, `${given}:latest`].some((form) => reference === form || reference.endsWith(`/${form}`));
}

/** One pull being shown. */
export class PullView {
  readonly #terminal: Terminal;
  readonly #given: string;
  readonly #told = new Set<string>();
  readonly #sinceMs: number;
  #linesDrawn = 0;
  /** Start of the pull that is shown, which tells it from earlier ones of the same reference. */
  #shown: Long | undefined;

  /** Shows pulls of `given` that are under way or begin after `sinceMs`. */
  constructor(terminal: Terminal, given: string, sinceMs = Date.now()) {
    this.#terminal = terminal;
    this.#given = given;
    this.#sinceMs = sinceMs;
  }

  /** Shows the newest state of the watched pull; others, and those that had ended before, are ignored. */
  update(pulls: readonly operator.PullProgress[]): void {
    const mine = pulls.findLast((pull) => isPullOf(pull.reference, this.#given) && this.#isCurrent(pull));
    if (mine === undefined) return;
    this.#shown = mine.startedAt;
    if (this.#terminal.isTty) this.#redraw(pullBars(mine, this.#terminal.columns));
    else this.#tellDone(mine);
  }

  #isCurrent({ state, startedAt }: operator.PullProgress): boolean {
    if (state === PullState.PULL_RESOLVING || state === PullState.PULL_PULLING) return true;
    return this.#shown?.equals(startedAt) === true || startedAt.toNumber() / NS_PER_MS >= this.#sinceMs;
  }

  #redraw(lines: readonly string[]): void {
    const up = this.#linesDrawn === 0 ? '' : `\u001b[${this.#linesDrawn}A`;
    // Clearing to the end of the screen also removes lines of a taller picture before.
    this.#terminal.err(`${up}\u001b[0J${lines.join('\n')}\n`);
    this.#linesDrawn = lines.length;
  }

  #tellDone(pull: operator.PullProgress): void {
    for (const layer of pull.layers) {
      if (!isDone(layer) || this.#told.has(layer.digest)) continue;
      this.#told.add(layer.digest);
      this.#terminal.err(`layer ${shortDigest(layer.digest)} ${formatBytes(layer.totalBytes.toNumber())}: ${stateWord(layer)}\n`);
    }
  }
}
