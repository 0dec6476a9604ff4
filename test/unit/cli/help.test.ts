// Help derives from the table: every command and every flag is in it.
import t from 'tap';
import { flagsOf, GLOBAL_FLAGS } from '../../../src/cli/args.ts';
import { COMMANDS } from '../../../src/cli/commands.ts';
import { commandHelp, overview } from '../../../src/cli/help.ts';
import type { CliHooks } from '../../../src/cli/index.ts';
import { RecordingTerminal, runOn, type Said } from '../../fixtures/terminal.ts';

const cli = (argv: string[], hooks: CliHooks = {}): Promise<Said> => runOn(new RecordingTerminal(), argv, hooks);

t.test('the overview names every command with its summary', async (t) => {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  for (const { name, summary } of COMMANDS) t.ok(overview(COMMANDS).includes(`  ${name.padEnd(width)}  ${summary}\n`), name);
});

t.test('the commands of the issue are there', async (t) => {
  const names = COMMANDS.map((command) => command.name);
  const wanted = 'pods ps images pull run stop rm rmp rmi logs exec inspect stats events version info doctor serve';
  for (const name of wanted.split(' ')) t.ok(names.includes(name), name);
});

t.test('a command’s help names its flags and examples', async (t) => {
  for (const command of COMMANDS) {
    const help = commandHelp(command);
    for (const flag of flagsOf(command))
      t.ok(help.includes(`--${flag.name}`) && help.includes(flag.summary), `${command.name} --${flag.name}`);
    for (const example of command.examples ?? []) t.ok(help.includes(example), example);
  }
  t.ok(GLOBAL_FLAGS.length > 0);
});

t.test('help is asked for in every usual way, and exits 0', async (t) => {
  for (const argv of [[], ['--help'], ['-h'], ['help']])
    t.same(await cli(argv), { out: overview(COMMANDS), err: '', code: 0 }, argv.join(' '));
  const logs = COMMANDS.find((command) => command.name === 'logs')!;
  for (const argv of [
    ['logs', '--help'],
    ['logs', '-h'],
    ['help', 'logs'],
  ])
    t.same(await cli(argv), { out: commandHelp(logs), err: '', code: 0 });
});

t.test('usage errors exit 2 and point to the help', async (t) => {
  t.same(await cli(['pdos']), { out: '', err: 'berth: "pdos" is not a command (did you mean pods?)\n  see `berth --help`\n', code: 2 });
  t.match(await cli(['--socket', '/s', 'ps']), {
    err: /"--socket" stands before the command; flags come after it: berth COMMAND/,
    code: 2,
  });
  t.same(await cli(['logs']), { out: '', err: 'berth: CONTAINER is missing\n  see `berth logs --help`\n', code: 2 });
});

t.test('serve is handed to the program with what it was asked', async (t) => {
  const asked: unknown[] = [];
  const argv = ['serve', '--config', '/c.toml', '--set', 'a=1', '--socket', '/s', '--set', 'b=2'];
  const { code } = await cli(argv, {
    serve: async (request) => {
      asked.push(request);
      return 7;
    },
  });
  t.equal(code, 7);
  t.same(asked, [{ configFile: '/c.toml', overrides: ['socket=/s', 'a=1', 'b=2'] }]);
  t.equal((await cli(['serve'])).code, 2, 'a program without a daemon says so');
});
