/** `berth pulls`: pulls under way and the last that ended, kubelet's too; --watch follows them until interrupted. */
import type Long from 'long';
import { operator, operatorService } from '../../gen/index.ts';
import { shortId } from '../../ids/index.ts';
import type { Client } from '../client.ts';
import type { Invocation, Terminal } from '../command.ts';
import { connect } from '../connect.ts';
import { jsonText, toJson } from '../json.ts';
import { Picture } from '../picture.ts';
import { layerCount, speed, timeLeft, transferred, unpacked } from '../pull-view.ts';
import { type Column, formatTable } from '../table.ts';
import { formatAge, formatSeconds, formatTime } from '../units.ts';

const { PullState } = operator;
const NS_PER_MS = 1_000_000n;
const NS_PER_SECOND = 1e9;

export async function run({ flags, terminal }: Invocation): Promise<number> {
  using client = connect({ flags, terminal });
  const format = flags.text('output');
  if (flags.on('watch')) await watch(client, { terminal, format });
  else terminal.out(await present(client, format));
  return 0;
}

async function present(client: Client, format: string | undefined): Promise<string> {
  for await (const { pulls } of client.stream(operatorService.WatchPulls, { once: true }, new AbortController().signal)) {
    return format === 'json' ? jsonText({ pulls }) : formatTable(COLUMNS, pulls, format === 'wide');
  }
  return '';
}

/** Follows them until Ctrl-C or SIGTERM. */
async function watch(client: Client, { terminal, format }: { terminal: Terminal; format: string | undefined }): Promise<void> {
  const ended = new AbortController();
  const stop = (): void => ended.abort();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.once(signal, stop);
  const show = terminal.isOutTty && format !== 'json' ? redrawn(terminal, format === 'wide') : told(terminal, format === 'json');
  try {
    for await (const { pulls } of client.stream(operatorService.WatchPulls, { once: false }, ended.signal)) show(pulls);
  } finally {
    for (const signal of signals) process.off(signal, stop);
  }
}

type Show = (pulls: readonly operator.PullProgress[]) => void;

/** The table in place; of more pulls than there are lines the newest, which those under way are among. */
function redrawn(terminal: Terminal, wide: boolean): Show {
  const picture = new Picture();
  return (pulls) => {
    const { columns, rows } = terminal;
    const [head = '', ...lines] = formatTable(COLUMNS, pulls, wide).trimEnd().split('\n');
    const room = Math.max(1, rows - 2); // the heading, and the line of the cursor
    picture.draw([head, ...lines.slice(-room)], { write: (text) => terminal.out(text), columns, rows });
  };
}

/** A line for each pull under way, then one a change of a pull's state. */
function told(terminal: Terminal, json: boolean): Show {
  let states: ReadonlyMap<string, number> | undefined;
  return (pulls) => {
    const before = states;
    states = new Map(pulls.map((pull) => [keyOf(pull), pull.state]));
    for (const pull of pulls) {
      const known = before?.get(keyOf(pull)) === pull.state || (before === undefined && isEnded(pull));
      if (!known) terminal.out(json ? `${JSON.stringify(toJson(pull))}\n` : `${stateLine(pull)}\n`);
    }
  };
}

const keyOf = (pull: operator.PullProgress): string => `${pull.startedAt} ${pull.reference}`;
const isEnded = ({ state }: operator.PullProgress): boolean => state === PullState.PULL_DONE || state === PullState.PULL_FAILED;

const STATE_WORDS: Readonly<Record<number, string>> = {
  [PullState.PULL_RESOLVING]: 'Resolving',
  [PullState.PULL_PULLING]: 'Pulling',
  [PullState.PULL_DONE]: 'Done',
  [PullState.PULL_FAILED]: 'Failed',
};
const STATE_WIDTH = 'Resolving'.length;

const stateWord = ({ state }: operator.PullProgress): string => STATE_WORDS[state] ?? String(state);

/** `2026-01-02T03:04:05.678Z  Done       r.example/app:1  3/3 layers, 25.0 MiB of 25.0 MiB, 4s`. */
function stateLine(pull: operator.PullProgress): string {
  const atNs =
    pull.state === PullState.PULL_RESOLVING ? pull.startedAt.toString() : isEnded(pull) ? pull.endedAt.toString() : nowNs().toString();
  const words = [formatTime(atNs), stateWord(pull).padEnd(STATE_WIDTH), pull.reference];
  if (pull.layers.length > 0) words.push(`${layerCount(pull)}, ${transferred(pull)}${isEnded(pull) ? `, ${took(pull)}` : ''}`);
  if (pull.error !== '') words.push(pull.error);
  return words.join('  ');
}

const nowNs = (): bigint => BigInt(Date.now()) * NS_PER_MS;

/** How long it took, or takes already. */
function took({ startedAt, endedAt }: operator.PullProgress): string {
  const until = endedAt.isZero() ? nowNs() : BigInt(endedAt.toString());
  return formatSeconds(Number(until - BigInt(startedAt.toString())) / NS_PER_SECOND);
}

/** Hosts that served layers of it. */
function sources({ layers }: operator.PullProgress): string {
  return [...new Set(layers.map(({ source }) => source).filter((source) => source !== ''))].join(',');
}

const ago = (atNs: Long): string => formatAge(atNs.toString(), nowNs());

const COLUMNS: readonly Column<operator.PullProgress>[] = [
  { heading: 'IMAGE', cell: ({ reference }) => reference },
  { heading: 'STATE', cell: stateWord },
  { heading: 'LAYERS', cell: (pull) => (pull.layers.length === 0 ? '' : layerCount(pull).replace(' layers', '')) },
  { heading: 'DOWNLOADED', cell: (pull) => (pull.layers.length === 0 ? '' : transferred(pull)) },
  { heading: 'UNPACKED', cell: (pull) => (pull.layers.length === 0 ? '' : unpacked(pull)) },
  { heading: 'SPEED', cell: speed },
  { heading: 'LEFT', cell: timeLeft },
  { heading: 'TIME', cell: took },
  { heading: 'FROM', cell: sources },
  { heading: 'STARTED', wide: true, cell: ({ startedAt }) => ago(startedAt) },
  { heading: 'IMAGE ID', wide: true, cell: ({ imageId }) => shortId(imageId) },
  { heading: 'ERROR', wide: true, cell: ({ error }) => error },
];
