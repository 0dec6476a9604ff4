// The program as a person starts it: hack/berth without a daemon, with a reader that goes away, and its doctor.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { shortDir } from '../../fixtures/short-dir.ts';

const BERTH = new URL('../../../hack/berth', import.meta.url).pathname;
const isRoot = process.geteuid?.() === 0;

function berth(argv: string[], env: Record<string, string> = {}): { status: number | null; stdout: string; stderr: string } {
  const { BERTH_SOCKET: _, ...inherited } = process.env;
  return spawnSync(BERTH, argv, { encoding: 'utf8', env: { ...inherited, BERTH_DEV: '1', ...env } });
}

t.test('without a daemon: the socket, and how to start one', async (t) => {
  const socket = join(shortDir(t), 'none.sock');
  for (const command of ['pods', 'ps', 'images', 'info', 'events']) {
    const { status, stdout, stderr } = berth([command, '--socket', socket]);
    t.equal(status, 1, command);
    t.equal(stdout, '');
    const how = 'start one with `systemctl start berth` or `berth serve`, or name another socket with --socket or BERTH_SOCKET';
    t.equal(stderr, `berth: no berth daemon answers at ${socket} (there is no such socket); ${how}\n`);
  }
});

t.test('a socket that nobody listens on', async (t) => {
  const socket = await abandonedSocket(t);
  t.match(berth(['ps'], { BERTH_SOCKET: socket }), { status: 1, stderr: /\(the socket is there, but nobody listens\)/ });
});

/** A socket file whose server was killed. */
async function abandonedSocket(t: Test): Promise<string> {
  const socket = join(shortDir(t), 'dead.sock');
  const program = `require('node:net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', program]), 'exit');
  return socket;
}

t.test('a path that no socket can have', async (t) => {
  t.match(berth(['ps', '--socket', `/tmp/${'x'.repeat(120)}`]), {
    status: 1,
    stderr: /\(its path is longer than the 107 bytes a socket can have\)/,
  });
});

t.test('something else listens on the socket', async (t) => {
  const socket = join(shortDir(t), 'other.sock');
  const server = createServer((connection) => connection.end('HTTP/1.1 400 no\r\n\r\n'));
  server.listen(socket);
  await once(server, 'listening');
  t.teardown(() => server.close());
  const child = spawn(BERTH, ['ps', '--socket', socket], { env: { ...process.env, BERTH_DEV: '1' } });
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => {
    stderr += data.toString();
  });
  const [code] = await once(child, 'close');
  t.equal(code, 1);
  t.match(stderr, /^berth: no berth daemon answers at .*other\.sock \(/);
});

t.test('usage errors exit 2, help exits 0', async (t) => {
  t.equal(berth(['frobnicate']).status, 2);
  t.equal(berth(['pods', '--no-such-flag']).status, 2);
  t.equal(berth(['serve', '--set', 'nonsense']).status, 2);
  t.match(berth(['--help']), { status: 0, stdout: /^berth: a Kubernetes container runtime/ });
});

t.test('a reader that goes away ends the program quietly', async (t) => {
  const child = spawn('sh', ['-c', `"${BERTH}" --help | true; "${BERTH}" pods --help | head -1`], {
    env: { ...process.env, BERTH_DEV: '1' },
  });
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => {
    stderr += data.toString();
  });
  await once(child, 'close');
  t.equal(stderr, '');
});

t.test('doctor tries things for real and leaves nothing', { skip: isRoot ? false : 'needs root' }, async (t) => {
  const mountsBefore = readFileSync('/proc/self/mountinfo', 'utf8');
  const socket = join(shortDir(t), 'none.sock');
  const { status, stdout, stderr } = berth(['doctor', '-o', 'json', '--socket', socket]);
  t.equal(stderr, '');
  const { checks } = JSON.parse(stdout) as { checks: { id: string; severity: string; message: string; advice: string }[] };
  const check = (id: string): (typeof checks)[number] | undefined => checks.find((each) => each.id === id);
  t.equal(check('kernel.version')?.severity, 'ok');
  t.equal(check('overlay.mount')?.severity, 'ok', String(check('overlay.mount')?.message));
  t.equal(check('daemon.reachable')?.severity, 'warn');
  t.match(check('daemon.reachable')?.message, socket);
  t.equal(check('runtime.default')?.severity, 'ok', 'a runtime works here');
  t.equal(check('runtime.runc')?.severity, 'ok', String(check('runtime.runc')?.message));
  const hybrid = /^\S+ \S+ \S+ \S+ \S+ .* - cgroup /m.test(mountsBefore) && existsSync('/sys/fs/cgroup/unified');
  if (hybrid) t.match(check('runtime.crun'), { severity: 'warn', message: /cannot run a container here: .*hybrid/ });
  t.equal(check('cgroup.layout')?.severity, existsSync('/sys/fs/cgroup/cgroup.controllers') ? 'ok' : 'warn');
  t.ok(
    checks.every((each) => (each.severity === 'ok' ? true : each.advice !== '')),
    'what is not fine comes with advice',
  );
  t.equal(new Set(checks.map((each) => each.id)).size, checks.length, 'ids are unique');
  t.equal(status, checks.some((each) => each.severity === 'fail') ? 2 : 1);
  t.equal(readFileSync('/proc/self/mountinfo', 'utf8'), mountsBefore, 'no mount is left');
  for (const dir of ['/var/lib', '/var/lib/berth']) {
    const left = existsSync(dir) ? readdirSync(dir).filter((name) => name.startsWith('.berth-doctor')) : [];
    t.same(left, [], `nothing is left in ${dir}`);
  }
});

t.test('the daemon tells a user who is not root what it needs', async (t) => {
  // in a user namespace without a map nobody is root, yet the files stay readable
  const { status, stderr } = spawnSync('unshare', ['--user', BERTH, 'serve'], { encoding: 'utf8' });
  t.equal(status, 1);
  t.match(stderr, /start it as root\n {2}reason NOT_ROOT/);
});

t.test('doctor refuses a configuration it does not understand', async (t) => {
  const dir = t.testdir({ 'berth.toml': '[network]\nmtuu = 1' });
  const { status, stderr } = berth(['doctor', '--config', join(dir, 'berth.toml')]);
  t.equal(status, 1);
  t.match(
    stderr,
    /network\.mtuu is not a key \(did you mean network\.mtu\?\).*\n {2}reason CONFIG_INVALID: correct what the message names/,
  );
});
