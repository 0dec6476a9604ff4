/** `berth info`: Status with everything verbose, for people. */
import { CONFIG_KEYS, onDisk } from '../../config/index.ts';
import { runtimeService } from '../../gen/index.ts';
import type { Invocation } from '../command.ts';
import { connect } from '../connect.ts';
import { jsonText } from '../json.ts';
import { type Column, formatPairs, formatTable } from '../table.ts';
import { unfold } from './inspect.ts';

interface Condition {
  readonly type: string;
  readonly status: boolean;
  readonly reason: string;
  readonly message: string;
}

const CONDITIONS: readonly Column<Condition>[] = [
  { heading: 'CONDITION', cell: ({ type }) => type },
  { heading: 'STATUS', cell: ({ status }) => (status ? 'True' : 'False') },
  { heading: 'REASON', cell: ({ reason }) => reason },
  { heading: 'MESSAGE', cell: ({ message }) => message },
];

export async function run({ flags, terminal }: Invocation): Promise<number> {
  using client = connect({ flags, terminal });
  const [version, answer] = await Promise.all([
    client.call(runtimeService.Version, {}),
    client.call(runtimeService.Status, { verbose: true }),
  ]);
  const info = unfold(answer.info);
  if (flags.text('output') === 'json') {
    terminal.out(jsonText({ ...answer, info }));
    return 0;
  }
  terminal.out(`${version.runtimeName} ${version.runtimeVersion} at ${client.socket}\n\n`);
  terminal.out(formatTable(CONDITIONS, answer.status?.conditions ?? []));
  for (const [topic, facts] of Object.entries(info)) {
    const pairs = topic === 'config' ? configuration(facts) : flatten(facts, '');
    terminal.out(pairs.length === 0 ? '' : `\n${topic}\n${indented(formatPairs(pairs))}`);
  }
  return 0;
}

/** Nested data as dotted names and values. */
export function flatten(value: unknown, prefix: string): (readonly [string, string])[] {
  if (typeof value !== 'object' || value === null) return [[prefix === '' ? 'value' : prefix, value === '' ? '-' : String(value)]];
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object' || item === null)) {
    return [[prefix === '' ? 'values' : prefix, value.map(String).join(', ') || '-']];
  }
  return Object.entries(value).flatMap(([key, nested]) => flatten(nested, prefix === '' ? key : `${prefix}.${key}`));
}

/** The configuration under the names it has in a file or with --set; what Status adds for other readers is left out. */
function configuration(facts: unknown): (readonly [string, string])[] {
  const written = flatten(facts, '').map(([name, value]) => [onDisk(name), value] as const);
  return written.filter(([name]) => CONFIG_KEYS.has(name) || CONFIG_KEYS.has(name.replace(/\.\d+\..*$/, '')));
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
