/** Help texts, derived from the command table. */
import { argumentUsage, flagsOf } from './args.ts';
import type { Command, Flag } from './command.ts';

/** `berth --help`. */
export function overview(commands: readonly Command[]): string {
  const longest = Math.max(...commands.map((command) => command.name.length));
  const groups = [...new Set(commands.map((command) => command.group))];
  const lines = ['berth: a Kubernetes container runtime that explains itself', '', 'Usage: berth COMMAND [ARGUMENTS] [FLAGS]'];
  for (const group of groups) {
    lines.push('', group);
    for (const command of commands.filter((each) => each.group === group))
      lines.push(`  ${command.name.padEnd(longest)}  ${command.summary}`);
  }
  lines.push('', '`berth COMMAND --help` tells more about one command.', '');
  return lines.join('\n');
}

/** The usage line of a command: `berth logs CONTAINER [FLAGS]`. */
export function usageLine(command: Command): string {
  const words = ['berth', command.name, ...command.args.map(argumentUsage), '[FLAGS]'];
  if (command.rest !== undefined) words.push(command.rest.optional === true ? `[-- ${restUsage(command)}]` : `-- ${restUsage(command)}`);
  return words.join(' ');
}

function restUsage(command: Command): string {
  return command.rest === undefined ? '' : argumentUsage({ ...command.rest, optional: false });
}

/** A flag as it is written in a list: `-n, --namespace NAME`. */
export function flagUsage(flag: Flag): string {
  const value = flag.choices === undefined ? flag.value : flag.choices.join('|');
  const long = value === undefined ? `--${flag.name}` : `--${flag.name} ${value}`;
  return flag.short === undefined ? long : `-${flag.short}, ${long}`;
}

/** A flag's sentence, with what the table knows besides. */
export function flagSummary(flag: Flag): string {
  return flag.repeatable === true ? `${flag.summary} (may be repeated)` : flag.summary;
}

/** `berth COMMAND --help`. */
export function commandHelp(command: Command): string {
  const flags = flagsOf(command);
  const longest = Math.max(...flags.map((flag) => flagUsage(flag).length));
  const lines = [`${command.summary}.`, '', `Usage: ${usageLine(command)}`];
  if (command.details !== undefined) lines.push('', command.details);
  lines.push('', 'Flags');
  for (const flag of flags) lines.push(`  ${flagUsage(flag).padEnd(longest)}  ${flagSummary(flag)}`);
  if (command.examples !== undefined) lines.push('', 'Examples', ...command.examples.map((example) => `  ${example}`));
  return `${lines.join('\n')}\n`;
}
