// docs/cli.md from the command table of src/cli.
import { COMMANDS, flagSummary, flagUsage, GLOBAL_FLAGS, usageLine } from '../../src/cli/index.ts';
import { code, markdownTable, pageHead } from './markdown.ts';

type Command = (typeof COMMANDS)[number];

/** The page. */
export function commandPage(): string {
  const lines = pageHead('Command line', 'src/cli/tables', [
    '`berth` is the daemon (`berth serve`) and its command line, which talks to the daemon over its socket. Where an object is asked for, its id, the start of its id or its name will do; a pod may also be written NAMESPACE/NAME.',
    'Exit codes: 0 done, 1 failed, 2 the command line was not understood. `exec` and `run --attach` pass on the exit code of the command they ran; `doctor` has 1 for warnings and 2 for failures. Errors go to standard error as `berth: MESSAGE`, with the [reason](errors.md) on the next line where there is one: when no daemon answers there is none.',
    'Flags of every command:',
  ]);
  lines.push(...flagTable(GLOBAL_FLAGS));
  for (const group of [...new Set(COMMANDS.map((command) => command.group))]) {
    lines.push(`## ${group}`, '');
    for (const command of COMMANDS.filter((each) => each.group === group)) lines.push(...commandSection(command));
  }
  return lines.join('\n');
}

function commandSection(command: Command): string[] {
  const lines = [`### berth ${command.name}`, '', `${command.summary}.`, '', '```', usageLine(command), '```', ''];
  if (command.details !== undefined) lines.push(command.details, '');
  if (command.flags.length > 0) lines.push(...flagTable(command.flags));
  if (command.examples !== undefined) lines.push('```', ...command.examples, '```', '');
  return lines;
}

function flagTable(flags: Command['flags']): string[] {
  return markdownTable(
    ['Flag', 'Meaning'],
    flags.map((flag) => [code(flagUsage(flag)), `${flagSummary(flag)}.`]),
  );
}
