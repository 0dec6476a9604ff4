/**
 * From argv to exit code: finds the command's row, answers --help from it,
 * loads its code and turns whatever it throws into words. Exit codes: 0 done,
 * 1 failed, 2 the command line was not understood; exec, doctor and
 * run --attach have codes of their own besides.
 */
import { once } from 'node:events';
import { nearest } from '../config/index.ts';
import { parseArgs } from './args.ts';
import { type Command, type FlagValues, type Terminal, UsageError } from './command.ts';
import { COMMANDS } from './commands.ts';
import { describeFailure } from './failure.ts';
import { commandHelp, overview } from './help.ts';

/** What `berth serve` was asked for. */
export interface ServeRequest {
  readonly configFile: string | undefined;
  /** `key=value`, in order; --socket is among them. */
  readonly overrides: readonly string[];
}

/** What the composition root supplies. */
export interface CliHooks {
  /** Runs the daemon; answers the exit code. */
  readonly serve?: (request: ServeRequest) => Promise<number>;
  /** Where to write; this process's own streams when absent. */
  readonly terminal?: Terminal;
}

/** Runs one command line (without the program's name); answers the exit code and never throws. */
export async function runCli(argv: readonly string[], hooks: CliHooks = {}): Promise<number> {
  const terminal = hooks.terminal ?? processTerminal();
  try {
    return await dispatch(argv, { terminal, serve: hooks.serve });
  } catch (error) {
    const { text, exitCode } = describeFailure(error);
    terminal.err(text);
    return exitCode;
  }
}

interface Dispatch {
  readonly terminal: Terminal;
  readonly serve: CliHooks['serve'];
}

async function dispatch(argv: readonly string[], { terminal, serve }: Dispatch): Promise<number> {
  const [name, ...words] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') return help(words, terminal);
  if (isFamily(name) && (words[0] === undefined || words[0] === '--help' || words[0] === '-h')) return help([name], terminal);
  const command = findCommand(name === '--version' ? ['version'] : argv);
  const { args, rest, flags } = parseArgs(command, argv.slice(command.name.split(' ').length));
  if (flags.on('help')) {
    terminal.out(commandHelp(command));
    return 0;
  }
  if (command.load === undefined) {
    if (serve === undefined) throw new UsageError(`\`berth ${command.name}\` is not part of this program`);
    return await serve(serveRequest(flags));
  }
  const { run } = await command.load();
  return await run({ command, args, rest, flags, terminal });
}

function help(topic: readonly string[], terminal: Terminal): number {
  const [name = ''] = topic;
  if (name === '') terminal.out(overview(COMMANDS));
  else if (isFamily(name) && topic.length === 1) terminal.out(overview(COMMANDS.filter((command) => command.name.startsWith(`${name} `))));
  else terminal.out(commandHelp(findCommand(topic)));
  return 0;
}

/** Is it the first word of commands that have two, as `image` of `image load`? */
function isFamily(word: string): boolean {
  return COMMANDS.some((command) => command.name.startsWith(`${word} `));
}

/** The command that `words` begin with: its name is one word, or two. */
function findCommand(words: readonly string[]): Command {
  const [first = '', second = ''] = words;
  const name = isFamily(first) ? `${first} ${second}` : first;
  const command = COMMANDS.find((each) => each.name === name);
  if (command !== undefined) return command;
  if (first.startsWith('-'))
    throw new UsageError(`${JSON.stringify(first)} stands before the command; flags come after it: berth COMMAND [FLAGS]`);
  const near = nearest(
    name,
    COMMANDS.map((each) => each.name),
  );
  throw new UsageError(`${JSON.stringify(name)} is not a command${near === undefined ? '' : ` (did you mean ${near}?)`}`);
}

function serveRequest(flags: FlagValues): ServeRequest {
  const socket = flags.text('socket');
  return { configFile: flags.text('config'), overrides: [...(socket === undefined ? [] : [`socket=${socket}`]), ...flags.all('set')] };
}

/** This process's streams. A reader that goes away (`| head`) ends the command quietly. */
function processTerminal(): Terminal {
  const { stdout, stderr } = process;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const isTty = (stream: NodeJS.WriteStream): boolean => stream.isTTY === true && process.env.TERM !== 'dumb';
  const shown = stderr.isTTY ? stderr : stdout; // both are the same terminal when both are one
  return {
    out: (data) => void stdout.write(data),
    err: (data) => void stderr.write(data),
    get isInTty() {
      return process.stdin.isTTY === true;
    },
    get input() {
      return process.stdin;
    },
    async drained() {
      if (stdout.writableNeedDrain) await once(stdout, 'drain');
    },
    isTty: isTty(stderr),
    isOutTty: isTty(stdout),
    get columns() {
      return shown.columns ?? 80;
    },
    get rows() {
      return shown.rows ?? 24;
    },
    env: process.env,
  };
}
