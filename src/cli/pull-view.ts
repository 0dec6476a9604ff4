/**
 * How a pull under way is shown. On a terminal: a bar a layer, redrawn in
 * place. Elsewhere: one plain line when a layer is done, so that a log file
 * stays readable. Drawing is pure; PullView only remembers what it told.
 */
import type Long from 'long';
import { operator } from '../gen/index.ts';
import type { Terminal } from './command.ts';
import { Picture } from './picture.ts';
import { formatBytes, formatSeconds } from './units.ts';

const { LayerState, PullState } = operator;
const NS_PER_MS = 1e6;
const NS_PER_SECOND = 1e9;
const BAR_WIDTH = 24;
/** A shorter bar says nothing that the figures beside it do not. */
const BAR_LEAST = 8;
/** Columns of a layer's line beside its bar: digest, size and the longest words. */
const WORDS_WIDTH = 60;
/** Characters of a reference that are shown on the narrowest terminal. */
const NAME_LEAST = 12;
const SHORT_DIGEST_LENGTH = 12;
/** Bars drawn at most; an image may have hundreds of layers. */
const BAR_LINES = 16;

/** Room to draw in. */
export interface Room {
  readonly columns: number;
  readonly rows: number;
}

/** A layer's digest as it is shown. */
function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, SHORT_DIGEST_LENGTH);
}

/** The pull's lines for a terminal; of many layers those that are not done. */
export function pullBars(pull: operator.PullProgress, { columns, rows }: Room): string[] {
  if (pull.layers.length === 0) return [`${pull.reference}: resolving`.slice(0, columns - 1)];
  const room = Math.max(0, Math.min(BAR_LINES, rows - 2)); // the head, and the line of the cursor
  const shown = pull.layers.length <= room ? pull.layers : pull.layers.filter((layer) => !isDone(layer)).slice(0, room);
  const figures = [layerCount(pull), transferred(pull), ...pace(pull)].join(', ');
  const name = shortened(pull.reference, Math.max(NAME_LEAST, columns - figures.length - ': '.length - 1));
  const lines = [`${name}: ${figures}`, ...shown.map((layer) => layerBar(layer, columns))];
  return lines.map((line) => line.slice(0, Math.max(1, columns - 1)));
}

/** The end of a name says more than its beginning. */
function shortened(name: string, length: number): string {
  return name.length <= length ? name : `…${name.slice(1 - length)}`;
}

function isDone(layer: operator.LayerProgress): boolean {
  return layer.state === LayerState.LAYER_DONE || layer.state === LayerState.LAYER_SHARED;
}

/** `2/5 layers (1 shared)`. */
export function layerCount({ layers }: operator.PullProgress): string {
  const shared = layers.filter((layer) => layer.state === LayerState.LAYER_SHARED).length;
  return `${layers.filter(isDone).length}/${layers.length} layers${shared === 0 ? '' : ` (${shared} shared)`}`;
}

/** `25.0 MiB of 40.0 MiB`, of the layers that are not on the node already. */
export function transferred({ layers }: operator.PullProgress): string {
  return `${formatBytes(total(layers, ({ downloadedBytes }) => downloadedBytes))} of ${formatBytes(total(layers, ({ totalBytes }) => totalBytes))}`;
}

/** Bytes of tar that came out so far. */
export function unpacked({ layers }: operator.PullProgress): string {
  return formatBytes(total(layers, ({ unpackedBytes }) => unpackedBytes));
}

function total(layers: readonly operator.LayerProgress[], of: (layer: operator.LayerProgress) => Long): number {
  return layers.reduce((sum, layer) => sum + (layer.state === LayerState.LAYER_SHARED ? 0 : of(layer).toNumber()), 0);
}

/** `12.5 MiB/s`, and `3s left` where that is known. */
function pace(pull: operator.PullProgress): string[] {
  return [speed(pull), timeLeft(pull)].filter((word) => word !== '').map((word, at) => (at === 0 ? word : `${word} left`));
}

/** `12.5 MiB/s`; '' when nothing comes. */
export function speed({ bytesPerSecond }: operator.PullProgress): string {
  return bytesPerSecond.isZero() ? '' : `${formatBytes(bytesPerSecond.toNumber())}/s`;
}

/** `3m20s`; '' when unknown. */
export function timeLeft({ endsIn }: operator.PullProgress): string {
  return endsIn.isZero() ? '' : formatSeconds(Math.ceil(endsIn.toNumber() / NS_PER_SECOND));
}

function layerBar(layer: operator.LayerProgress, columns: number): string {
  const size = layer.totalBytes.toNumber();
  const room = Math.min(BAR_WIDTH, columns - WORDS_WIDTH);
  const part = isDone(layer) ? 1 : size === 0 ? 0 : Math.min(1, layer.downloadedBytes.toNumber() / size);
  return `  ${shortDigest(layer.digest)} ${room < BAR_LEAST ? '' : `[${bar(part, room)}] `}${formatBytes(size).padStart(9)} ${stateWords(layer)}`;
}

function bar(part: number, width: number): string {
  const full = Math.floor(part * width);
  return '='.repeat(full) + (full < width ? '>'.padEnd(width - full) : '');
}

function stateWords(layer: operator.LayerProgress): string {
  const out = layer.unpackedBytes.isZero() ? '' : `, ${formatBytes(layer.unpackedBytes.toNumber())} unpacked`;
  if (layer.state === LayerState.LAYER_DONE) return `done${out}`;
  if (layer.state === LayerState.LAYER_SHARED) return 'on the node already';
  if (layer.state === LayerState.LAYER_UNPACKING) return `downloaded${out}`;
  if (layer.state === LayerState.LAYER_WAITING) return 'waiting';
  return `${Math.floor((100 * layer.downloadedBytes.toNumber()) / Math.max(1, layer.totalBytes.toNumber()))} %${out}`;
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
  readonly #picture = new Picture();
  readonly #told = new Set<string>();
  readonly #sinceMs: number;
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
    const { isTty, columns, rows } = this.#terminal;
    if (isTty) this.#picture.draw(pullBars(mine, { columns, rows }), { write: (text) => this.#terminal.err(text), columns, rows });
    else this.#tellDone(mine);
  }

  #isCurrent({ state, startedAt }: operator.PullProgress): boolean {
    if (state === PullState.PULL_RESOLVING || state === PullState.PULL_PULLING) return true;
    return this.#shown?.equals(startedAt) === true || startedAt.toNumber() / NS_PER_MS >= this.#sinceMs;
  }

  #tellDone(pull: operator.PullProgress): void {
    for (const layer of pull.layers) {
      if (!isDone(layer) || this.#told.has(layer.digest)) continue;
      this.#told.add(layer.digest);
      this.#terminal.err(`layer ${shortDigest(layer.digest)} ${formatBytes(layer.totalBytes.toNumber())}: ${stateWords(layer)}\n`);
    }
  }
}
