import '../../fixtures/private-netns.ts';
// The command line against a real daemon, registry and containers: the way of one pod as a person walks it.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startDaemon } from '../../fixtures/daemon.ts';
import { until } from '../../fixtures/eventually.ts';
import { busyboxImage } from '../../fixtures/pods.ts';
import { startRegistry } from '../../fixtures/registry.ts';
import { RecordingTerminal, runOn, type Said } from '../../fixtures/terminal.ts';

const registry = await startRegistry(t);
const image = await registry.pushImage('test/cli', '1', busyboxImage());
const daemon = await startDaemon(t);
const env = { BERTH_SOCKET: daemon.socket };
const cli = (...argv: string[]): Promise<Said> => runOn(new RecordingTerminal({ env }), argv);
const logDirectories = (): string[] => (existsSync(join(daemon.root, 'logs')) ? readdirSync(join(daemon.root, 'logs')) : []);

t.test('pull tells each layer once, and draws bars on a terminal', async (t) => {
  const { out, err, code } = await cli('pull', image);
  t.equal(code, 0, err);
  t.match(out, /^sha256:[0-9a-f]{64}\n$/);
  t.equal(err.match(/^layer [0-9a-f]{12} .*: done, .* unpacked$/gm)?.length, 2, err);
  const terminal = new RecordingTerminal({ env, isTty: true });
  t.equal((await runOn(terminal, ['pull', image])).out, out, 'a second pull is the same image');
  t.match(terminal.stderr, /2\/2 layers.*\n(.* (done|on the node already)\n){2}$/);
  t.match((await cli('images')).out, image);
});

t.test('info shows the configuration under the names it is configured by', async (t) => {
  const { out } = await cli('info');
  t.match(out, /\n {2}network\.pod_cidr: +\d/);
  t.match(out, /\n {2}runtime\.handlers\.0\.name: +\w/);
  t.notMatch(out, 'podCidr');
});

t.test('a container runs, writes, is looked into and ends', async (t) => {
  const script = 'echo one; echo two >&2; printf unfinished; exec sleep 600';
  const { out, err, code } = await cli('run', '--name', 'web', '-m', '64Mi', '-e', 'A=b c', image, '--', 'sh', '-c', script);
  t.equal(code, 0, err);
  const id = out.trim();
  t.match((await cli('pods')).out, /default +web +Ready +1\/1/);
  t.match((await cli('ps')).out, new RegExp(`^${id.slice(0, 13)} +web +Running`, 'm'));
  t.match(await cli('exec', 'web', '--', 'sh', '-c', 'echo $A; echo to err >&2; exit 7'), { out: 'b c\n', err: 'to err\n', code: 7 });
  t.match(await cli('stats', 'web'), { code: 0, out: /web .*KiB/ });
  t.match(JSON.parse((await cli('inspect', id.slice(0, 8))).out), { status: { id, state: 'CONTAINER_RUNNING' } });
  const following = cli('logs', '-f', 'web');
  t.equal((await cli('stop', 'web', '-t', '0')).code, 0);
  t.same(await following, { out: 'one\nunfinished\n', err: 'two\n', code: 0 }, 'following ends with the container');
  t.match((await cli('ps', '-a')).out, /web +Error \(137\)/);
});

t.test('run --attach --rm is a command with an exit code that leaves nothing', async (t) => {
  const before = logDirectories();
  t.same(await cli('run', '--attach', '--rm', image, '--', 'sh', '-c', 'echo hello; exit 5'), { out: 'hello\n', err: '', code: 5 });
  t.same(logDirectories(), before);
  t.equal((await cli('pods', '-aq')).out.trim().split('\n').length, 1, 'only the pod of before');
});

t.test('Ctrl-C on run --attach --rm stops the container and leaves nothing', async (t) => {
  const before = logDirectories();
  const listenersBefore = process.listenerCount('SIGINT');
  const terminal = new RecordingTerminal({ env });
  const script = 'trap "exit 3" TERM; echo up; while :; do sleep 0.1; done';
  const running = runOn(terminal, ['run', '--attach', '--rm', image, '--', 'sh', '-c', script]);
  await until(() => terminal.stdout === 'up\n', 'the container’s first line');
  process.kill(process.pid, 'SIGINT');
  t.same(await running, { out: 'up\n', err: '', code: 3 });
  t.same(logDirectories(), before);
  t.equal((await cli('pods', '-aq')).out.trim().split('\n').length, 1, 'only the pod of before');
  t.equal(process.listenerCount('SIGINT'), listenersBefore, 'and no handler');
});

t.test('what cannot start leaves nothing either', async (t) => {
  const before = logDirectories();
  const { code, err } = await cli('run', image, '--', '/no/such/program');
  t.equal(code, 1);
  t.match(err, /^berth: .*\/no\/such\/program.*\n {2}reason START_FAILED/);
  t.match(await cli('run', `${registry.host}/test/none:1`), { code: 1, err: /reason IMAGE_NOT_IN_REGISTRY/ });
  t.same(logDirectories(), before);
  t.equal((await cli('pods', '-aq')).out.trim().split('\n').length, 1);
});

t.test('everything is removed by hand', async (t) => {
  t.equal((await cli('rmp', '-f', 'web')).out, 'web\n');
  t.equal((await cli('pods', '-aq')).out, '');
  t.equal((await cli('ps', '-aq')).out, '');
  t.same(logDirectories(), []);
  t.equal((await cli('rmi', image)).out, `${image}\n`);
  t.equal((await cli('images', '-q')).out, '');
});
