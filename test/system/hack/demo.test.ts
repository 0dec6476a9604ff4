// The demo as a stranger runs it: it shows a pod from all sides and leaves the machine as it was, also when it fails
// or is interrupted in the middle.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import t from 'tap';

const DEMO = new URL('../../../hack/demo', import.meta.url).pathname;
const CLEAN = 'links, cgroups and nft tables are as before';

/** Runs the demo; `interruptAt` is the text at which it gets a SIGINT, as from Ctrl-C in its terminal. */
function demo(args: readonly string[], interruptAt?: string): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    // A session of its own: the signal goes to the whole group, as the terminal's does.
    const child = spawn(DEMO, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    let interrupted = false;
    const read = (text: string) => {
      output += text;
      if (interrupted || interruptAt === undefined || !output.includes(interruptAt)) return;
      interrupted = true;
      process.kill(-(child.pid ?? 0), 'SIGINT');
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', read);
    child.once('error', reject).once('close', (status) => resolve({ status, output }));
  });
}

const root = { skip: process.getuid?.() === 0 ? false : 'needs root' };

t.test('from nothing to a running pod and back', root, async (t) => {
  const { status, output } = await demo([]);
  t.equal(status, 0, output);
  for (const shown of [
    /layer [0-9a-f]{12} .*: done/,
    /web +Ready +2\/2 .* 10\.2\d\d\.0\.2 /,
    /hello from pod web/,
    /the page has \d+ bytes/,
    /from the second layer/,
    /container_memory_working_set_bytes\{container="web"/,
    /berth_image_pull_bytes_total/,
    /reason OOMKilled, exit code 137/,
    CLEAN,
  ]) {
    t.match(output, shown);
  }
});

t.test('interrupted with a pod running, it takes everything down', root, async (t) => {
  const { status, output } = await demo([], 'berth ps');
  t.equal(status, 1);
  t.match(output, 'interrupted by SIGINT');
  t.match(output, CLEAN);
});

t.test('an image that cannot be pulled ends it with berth’s own words, and cleanly', root, async (t) => {
  const { status, output } = await demo(['--image', '127.0.0.1:1/no/such:1']);
  t.equal(status, 1);
  t.match(output, /RegistryUnavailable: image 127\.0\.0\.1:1\/no\/such:1/);
  t.match(output, CLEAN);
});

// It would take down one that somebody keeps.
const noneKept = { skip: root.skip || (existsSync('/run/berth-demo.json') ? 'a demo is kept on this machine' : false) };
t.test('there is nothing to stop when none is kept', noneKept, async (t) => {
  const { status, output } = await demo(['--stop']);
  t.equal(status, 1);
  t.match(output, 'No demo is kept');
});
