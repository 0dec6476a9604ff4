// The parser against a made-up command, then the rules every row of the real table keeps.
import t from 'tap';
import { parseArgs } from '../../../src/cli/args.ts';
import { type Command, UsageError } from '../../../src/cli/command.ts';
import { COMMANDS } from '../../../src/cli/commands.ts';

const COMMAND: Command = {
  name: 'try',
  group: 'The node',
  summary: 'Try',
  args: [{ name: 'FIRST' }, { name: 'MORE', optional: true, many: true }],
  flags: [
    { name: 'all', short: 'a', summary: 'All' },
    { name: 'quiet', short: 'q', summary: 'Quiet' },
    { name: 'name', short: 'n', value: 'NAME', summary: 'Name' },
    { name: 'label', short: 'l', value: 'KEY=VALUE', repeatable: true, summary: 'Label' },
    { name: 'output', short: 'o', value: 'FORMAT', choices: ['json', 'wide'], summary: 'Output' },
    { name: 'count', value: 'N', check: (value) => (/^\d+$/.test(value) ? undefined : 'is not a number'), summary: 'Count' },
  ],
};
const EXEC: Command = { ...COMMAND, name: 'exec', args: [{ name: 'CONTAINER' }], rest: { name: 'COMMAND', many: true } };

t.test('flags in every spelling, anywhere among the arguments', async (t) => {
  const { args, flags } = parseArgs(COMMAND, ['one', '-aq', '-n', 'x', '--label=a=1', 'two', '-lb=2', '-o=json', '--count', '7', 'three']);
  t.same(args, ['one', 'two', 'three']);
  t.ok(flags.on('all') && flags.on('quiet'));
  t.equal(flags.text('name'), 'x');
  t.same(flags.all('label'), ['a=1', 'b=2']);
  t.equal(flags.text('output'), 'json');
  t.equal(flags.text('count'), '7');
  t.equal(flags.text('socket'), undefined);
  t.same(flags.all('socket'), []);
});

t.test('a value may be empty, begin with a dash, or be a lone dash', async (t) => {
  t.equal(parseArgs(COMMAND, ['x', '--name=']).flags.text('name'), '');
  t.equal(parseArgs(COMMAND, ['x', '--name', '-y']).flags.text('name'), '-y');
  t.same(parseArgs(COMMAND, ['-']).args, ['-']);
});

t.test('what follows -- is left alone', async (t) => {
  const { args, rest, flags } = parseArgs(EXEC, ['web', '-a', '--', 'ls', '-l', '--', '--help']);
  t.same(args, ['web']);
  t.same(rest, ['ls', '-l', '--', '--help']);
  t.ok(flags.on('all'));
  t.notOk(flags.on('help'));
});

t.test('--help is answered even when the rest is wrong', async (t) => {
  t.ok(parseArgs(COMMAND, ['-h']).flags.on('help'));
});

t.test('what is not understood is a usage error with words', async (t) => {
  const wrong = (command: Command, argv: string[], message: RegExp): void => {
    t.throws(() => parseArgs(command, argv), { name: 'UsageError', command: command.name, message }, argv.join(' '));
  };
  wrong(COMMAND, [], /^FIRST is missing$/);
  wrong(COMMAND, ['x', '--nmae', 'y'], /^--nmae is not a flag of `berth try` \(did you mean --name\?\)$/);
  wrong(COMMAND, ['x', '-z'], /^-z is not a flag of `berth try`$/);
  wrong(COMMAND, ['x', '--all=yes'], /^--all takes no value$/);
  wrong(COMMAND, ['x', '--name'], /^--name needs a value: --name NAME$/);
  wrong(COMMAND, ['x', '-n', 'a', '-n', 'b'], /^--name is given twice$/);
  wrong(COMMAND, ['x', '-o', 'yaml'], /^--output "yaml" is not one of json, wide$/);
  wrong(COMMAND, ['x', '--count', 'many'], /^--count "many" is not a number$/);
  wrong(COMMAND, ['x', '--', 'y'], /^nothing can follow -- in `berth try`$/);
  wrong(EXEC, ['web'], /^COMMAND is missing; put it after --$/);
  wrong(EXEC, ['web', 'ls'], /put the command after --: berth exec web -- ls \.\.\.$/);
  t.equal(new UsageError('x').command, undefined);
});

t.test('every row of the table is sound', async (t) => {
  const names = COMMANDS.map((command) => command.name);
  t.equal(new Set(names).size, names.length, 'names are unique');
  for (const { name, args, flags, summary } of COMMANDS) {
    const shorts = [...flags.flatMap((flag) => flag.short ?? []), 'h'];
    t.equal(new Set(shorts).size, shorts.length, `${name}: short flags are unique`);
    t.ok(
      shorts.every((short) => short.length === 1),
      `${name}: short flags are one letter`,
    );
    const long = [...flags.map((flag) => flag.name), 'help', 'socket'];
    t.equal(new Set(long).size, long.length, `${name}: flags are unique`);
    t.notMatch(summary, /\.$/, `${name}: the summary has no full stop`);
    t.ok(
      args.every((argument, at) => argument.many !== true || at === args.length - 1),
      `${name}: only the last argument takes many`,
    );
  }
});

t.test('the checks of the real flags', async (t) => {
  const run = COMMANDS.find((command) => command.name === 'run')!;
  const accepts = (argv: string[]): void => void t.doesNotThrow(() => parseArgs(run, ['image', ...argv]), argv.join(' '));
  const refuses = (argv: string[]): void => void t.throws(() => parseArgs(run, ['image', ...argv]), { name: 'UsageError' }, argv.join(' '));
  for (const port of ['80:80', '127.0.0.1:8080:80/udp', '[::1]:1:2/sctp']) accepts(['-p', port]);
  for (const port of ['80', 'a:80', '80:80/icmp', '1.2.3:80:80', '80:']) refuses(['-p', port]);
  for (const volume of ['/a:/b', '/a:/b:ro', '/:/host:rw']) accepts(['-v', volume]);
  for (const volume of ['a:/b', '/a', '/a:b', '/a:/b:xx']) refuses(['-v', volume]);
  for (const memory of ['64Mi', '1G', '1048576', '1.5Gi']) accepts(['-m', memory]);
  for (const memory of ['64MB', 'lots', '-1', '']) refuses(['-m', memory]);
  for (const cpus of ['1', '0.5', '250m']) accepts(['--cpus', cpus]);
  for (const cpus of ['0', 'two', '1.']) refuses(['--cpus', cpus]);
  refuses(['-e', 'NOVALUE']);
});

t.test('a published port is one that exists', async (t) => {
  const run = COMMANDS.find(({ name }) => name === 'run')!;
  const publish = (value: string) => parseArgs(run, ['image', '--publish', value]).flags.all('publish');
  for (const value of ['1:65535', '127.0.0.1:8080:80/udp', '[::1]:53:53']) t.same(publish(value), [value]);
  for (const value of ['0:80', '99999:80', '80:65536', '80', 'a:b', '80:80/icmp'])
    t.throws(() => publish(value), { message: /^--publish ".*" is not \[IP:\]HOSTPORT:CONTAINERPORT/ }, value);
});
