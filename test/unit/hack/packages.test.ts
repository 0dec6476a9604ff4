// What the scripts do on a machine that lacks something: one message, one non-interactive install; nothing otherwise.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

const LIB = new URL('../../../hack/lib/', import.meta.url).pathname;
const TOOLS = ['mktemp', 'rm', 'tail', 'env', 'sh', 'chmod', 'cat', 'mkdir', 'uname', 'sha256sum', 'flock', 'printf'];
const isRoot = process.getuid?.() === 0;

/** A PATH with `programs` of our own and a few plain tools, and nothing else of the machine's. */
function machine(dir: string, programs: Record<string, string>) {
  const bin = join(dir, 'bin');
  mkdirSync(bin, { recursive: true });
  for (const [name, text] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  for (const name of TOOLS) {
    const path = ['/usr/bin', '/bin'].map((at) => join(at, name)).find(existsSync);
    if (path !== undefined && !existsSync(join(bin, name))) symlinkSync(path, join(bin, name));
  }
  return (script: string) => {
    const sourced = `set -euo pipefail; . ${LIB}say.sh; . ${LIB}packages.sh; . ${LIB}node.sh; PATH=${bin}; ${script}`;
    const { status, stderr, stdout } = spawnSync('/bin/bash', ['--norc', '-c', sourced], {
      encoding: 'utf8',
      env: { PATH: bin, LOG: join(dir, 'log'), BIN: bin },
    });
    return { status, stderr, stdout, log: existsSync(join(dir, 'log')) ? readFileSync(join(dir, 'log'), 'utf8') : '' };
  };
}

const TABLE = `'one one holds ones
two /nowhere/two keeps twos'`;

t.test('nothing is installed, asked or said when all is there', async (t) => {
  const run = machine(t.testdir(), { 'apt-get': 'echo "$@" >> $LOG', one: 'exit 0' });
  t.same(run(`packages_ensure 'one one holds ones'`), { status: 0, stderr: '', stdout: '', log: '' });
});

t.test('without apt-get the list and the reasons are all that happens', async (t) => {
  const { status, stderr } = machine(t.testdir(), {})(`packages_ensure ${TABLE}`);
  t.equal(status, 1);
  t.match(stderr, /one +holds ones\n +two +keeps twos/);
  t.match(stderr, 'install the above and run again');
});

const root = { skip: isRoot ? false : 'needs root' };
t.test('what is missing is installed at once, and only that', root, async (t) => {
  const run = machine(t.testdir(), { 'apt-get': 'echo "$DEBIAN_FRONTEND $*" >> $LOG', two: 'exit 0' });
  const { status, stderr, log } = run(`packages_ensure 'one one holds ones\ntwo two keeps twos'`);
  t.equal(status, 0);
  t.match(stderr, /Missing system packages:\n +one +holds ones\nInstalling/);
  t.match(log, /^noninteractive .*install -y --no-install-recommends one\n$/);
});

t.test('stale package lists are refreshed once', root, async (t) => {
  const apt = 'echo "$*" >> $LOG; case "$*" in *update*) : > $BIN/fresh ;; *) [ -e $BIN/fresh ] ;; esac';
  const { status, log } = machine(t.testdir(), { 'apt-get': apt })(`packages_ensure 'one one holds ones'`);
  t.equal(status, 0);
  t.same(log.match(/update|install -y/g), ['install -y', 'update', 'install -y']);
});

t.test('a failed install says what apt-get said', root, async (t) => {
  const run = machine(t.testdir(), { 'apt-get': 'echo "E: no such package"; exit 100' });
  const { status, stderr } = run(`packages_ensure 'one one holds ones'`);
  t.equal(status, 1);
  t.match(stderr, /E: no such package[\s\S]*apt-get could not install: one/);
});

t.test('npm ci runs once for each lock file', async (t) => {
  const dir = t.testdir({ tree: { 'package-lock.json': '{"one":1}' } });
  const npm =
    'echo "$@" >> $LOG; for p in x64 arm64; do mkdir -p node_modules/node-linux-$p/bin; printf "#!/bin/sh\\n" > node_modules/node-linux-$p/bin/node; chmod +x node_modules/node-linux-$p/bin/node; done';
  const run = machine(dir, { npm });
  const ensure = `node_ensure ${dir}/tree; command -v node`;
  const first = run(ensure);
  t.equal(first.status, 0, first.stderr);
  t.match(first.stdout, /tree\/node_modules\/node-linux-\w+\/bin\/node\n$/);
  t.equal(first.log.split('\n').length, 2);
  t.equal(run(ensure).log, first.log, 'same lock file, no second run');
  writeFileSync(join(dir, 'tree/package-lock.json'), '{"two":2}');
  t.equal(run(ensure).log.split('\n').length, 3, 'a changed one is installed');
});

t.test('a failed npm ci is tried again the next time', async (t) => {
  const dir = t.testdir({ tree: { 'package-lock.json': '{}' } });
  const run = machine(dir, { npm: 'echo "$@" >> $LOG; exit 1' });
  t.equal(run(`node_ensure ${dir}/tree`).status, 1);
  const second = run(`node_ensure ${dir}/tree`);
  t.equal(second.status, 1);
  t.match(second.stderr, 'npm ci failed');
  t.equal(second.log.split('\n').length, 3);
});
