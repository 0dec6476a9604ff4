/**
 * Command line to Invocation, driven by the command's row. GNU habits: flags
 * anywhere before `--`, `--name=value` or `--name value`, `-n5`, `-aq`. What
 * is not understood is a UsageError with the nearest flag; nothing is guessed.
 */
import { nearest } from '../config/index.ts';
import { type Argument, type Command, type Flag, FlagValues, UsageError } from './command.ts';

/** Flags every command takes. */
export const GLOBAL_FLAGS: readonly Flag[] = [
  { name: 'socket', value: 'PATH', summary: 'Socket of the daemon (default: $BERTH_SOCKET, then /run/berth/berth.sock)' },
  { name: 'help', short: 'h', summary: 'Show this help' },
];

/** The parts of a command line. */
export interface ParsedArgs {
  readonly args: readonly string[];
  readonly rest: readonly string[];
  readonly flags: FlagValues;
}

/** Flags a command understands: its own and the global ones. */
export function flagsOf(command: Command): readonly Flag[] {
  return [...command.flags, ...GLOBAL_FLAGS];
}

/** Parses what follows the command's name. Throws UsageError. With --help nothing is checked. */
export function parseArgs(command: Command, argv: readonly string[]): ParsedArgs {
  const end = argv.indexOf('--');
  const words = end < 0 ? [...argv] : argv.slice(0, end);
  const rest = end < 0 ? [] : argv.slice(end + 1);
  const given = new Map<string, string[]>();
  const args: string[] = [];
  while (words.length > 0) {
    const word = words.shift() ?? '';
    if (word.startsWith('--')) takeLong({ command, given, words }, word.slice(2));
    else if (word.startsWith('-') && word !== '-') takeShort({ command, given, words }, word.slice(1));
    else args.push(word);
  }
  const flags = new FlagValues(given);
  if (!flags.on('help')) {
    checkArguments(command, args);
    checkRest(command, { given: end >= 0, rest });
  }
  return { args, rest, flags };
}

interface Parsing {
  readonly command: Command;
  readonly given: Map<string, string[]>;
  /** Words still to be read. */
  readonly words: string[];
}

function takeLong(parsing: Parsing, word: string): void {
  const equals = word.indexOf('=');
  const name = equals < 0 ? word : word.slice(0, equals);
  const flag = flagsOf(parsing.command).find((each) => each.name === name);
  if (flag === undefined) throw unknownFlag(parsing.command, `--${name}`);
  if (flag.value === undefined) {
    if (equals >= 0) throw new UsageError(`--${name} takes no value`, parsing.command.name);
    record(parsing, flag, '');
  } else record(parsing, flag, equals >= 0 ? word.slice(equals + 1) : nextWord(parsing, flag));
}

function takeShort(parsing: Parsing, letters: string): void {
  for (let at = 0; at < letters.length; at += 1) {
    const letter = letters[at] ?? '';
    const flag = flagsOf(parsing.command).find((each) => each.short === letter);
    if (flag === undefined) throw unknownFlag(parsing.command, `-${letter}`);
    if (flag.value !== undefined) {
      const attached = letters.slice(at + 1).replace(/^=/, '');
      record(parsing, flag, attached === '' ? nextWord(parsing, flag) : attached);
      return;
    }
    record(parsing, flag, '');
  }
}

function nextWord(parsing: Parsing, flag: Flag): string {
  const word = parsing.words.shift();
  if (word === undefined) throw new UsageError(`--${flag.name} needs a value: --${flag.name} ${flag.value}`, parsing.command.name);
  return word;
}

function record(parsing: Parsing, flag: Flag, value: string): void {
  const { command, given } = parsing;
  const before = given.get(flag.name);
  if (before !== undefined && flag.repeatable !== true && flag.value !== undefined) {
    throw new UsageError(`--${flag.name} is given twice`, command.name);
  }
  if (flag.choices !== undefined && !flag.choices.includes(value)) {
    throw new UsageError(`--${flag.name} ${JSON.stringify(value)} is not one of ${flag.choices.join(', ')}`, command.name);
  }
  const problem = flag.check?.(value);
  if (problem !== undefined) throw new UsageError(`--${flag.name} ${JSON.stringify(value)} ${problem}`, command.name);
  if (before === undefined) given.set(flag.name, [value]);
  else before.push(value);
}

function unknownFlag(command: Command, word: string): UsageError {
  const near = nearest(
    word,
    flagsOf(command).map((flag) => `--${flag.name}`),
  );
  const hint = near === undefined || word.length === 2 ? '' : ` (did you mean ${near}?)`;
  return new UsageError(`${word} is not a flag of \`berth ${command.name}\`${hint}`, command.name);
}

function checkArguments(command: Command, args: readonly string[]): void {
  const needed = command.args.filter((argument) => argument.optional !== true);
  const missing = needed[args.length];
  if (missing !== undefined) throw new UsageError(`${missing.name} is missing`, command.name);
  const most = command.args.at(-1)?.many === true ? Number.POSITIVE_INFINITY : command.args.length;
  const extra = args[most];
  if (extra === undefined) return;
  const hint =
    command.rest === undefined ? '' : `; put the command after --: berth ${command.name} ${args.slice(0, most).join(' ')} -- ${extra} ...`;
  throw new UsageError(`${JSON.stringify(extra)} is one argument too many${hint}`, command.name);
}

function checkRest(command: Command, { given, rest }: { given: boolean; rest: readonly string[] }): void {
  if (command.rest === undefined) {
    if (given && rest.length > 0) throw new UsageError(`nothing can follow -- in \`berth ${command.name}\``, command.name);
    return;
  }
  if (command.rest.optional !== true && rest.length === 0) {
    throw new UsageError(`${command.rest.name} is missing; put it after --`, command.name);
  }
}

/** An argument as it is written in a usage line. */
export function argumentUsage(argument: Argument): string {
  const word = argument.many === true ? `${argument.name}...` : argument.name;
  return argument.optional === true ? `[${word}]` : word;
}
