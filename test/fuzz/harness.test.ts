/** The fuzzer itself: it finds what is planted, makes it small, finds it again by its seed, and notices what does not end. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';

const HARNESS = fileURLToPath(new URL('../fixtures/fuzz.ts', import.meta.url));

/** Runs a test file of `body` with the fuzzer at hand and answers what it said. */
function run(t: Test, body: string, env: Record<string, string> = {}): { out: string; signal: string | null } {
  const dir = mkdtempSync(join(tmpdir(), 'berth-fuzz-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'planted.test.mts');
  const tap = import.meta.resolve('tap');
  writeFileSync(file, `import t from '${tap}';\nimport { fuzz, property } from '${HARNESS}';\n${body}`);
  const ended = spawnSync(process.execPath, [file], { encoding: 'utf8', env: { ...process.env, ...env, TAP: '1' } });
  return { out: `${ended.stdout}${ended.stderr}`, signal: ended.signal };
}

const PLANTED = `await fuzz(t, {
  name: 'planted', seeds: ['a longer text, of which nearly nothing matters'], dictionary: ['magic'],
  check(input) {
    const at = input.indexOf('magic');
    if (at > 0 && input[at + 5] === 0xff) throw new TypeError('planted');
    return at < 0 ? 'plain' : 'magic';
  },
});`;

t.test('a planted fault is found, made as small as it can be, and found again by its seed', async (t) => {
  const first = run(t, PLANTED);
  t.match(first.out, /not ok.*planted: input [0-9]+: TypeError: planted/);
  t.match(first.out, /from [0-9]+ to 7 bytes/);
  t.match(first.out, /BERTH_FUZZ_SEED=1\b/);
  const keep = /printf %s (\S+) \| base64 -d > test\/fuzz\/corpus\/planted\//.exec(first.out)?.[1] ?? '';
  t.match(Buffer.from(keep, 'base64').toString('latin1'), /^.magic\xff$/s);
  const inputOf = (out: string): string => /planted: input [0-9]+/.exec(out)?.[0] ?? out;
  t.equal(inputOf(run(t, PLANTED).out), inputOf(first.out), 'the same seed');
  t.match(run(t, PLANTED, { BERTH_FUZZ_SEED: '2' }).out, /BERTH_FUZZ_SEED=2\b/);
});

t.test('a property that does not hold is told with its value', async (t) => {
  const body = `await property(t, {
    name: 'sum', generate: (random) => ({ a: random.below(100), b: random.below(100) }),
    check: ({ a, b }) => { if (a + b === 100) throw new Error('a hundred'); },
  });`;
  const { out } = run(t, body);
  t.match(out, /not ok.*sum: value [0-9]+: Error: a hundred/);
  t.match(out, /a: [0-9]+, b: [0-9]+/);
});

t.test('what holds passes, and ends', async (t) => {
  const { out } = run(t, "await fuzz(t, { name: 'none', seeds: ['x'], check: () => 'same' });", { BERTH_FUZZ_SECONDS: '0.2' });
  t.match(out, /ok 2 - none: [0-9]+ inputs, 1 outcomes/);
});

t.test('an input without an end is named, and the process ended', async (t) => {
  const body = "await fuzz(t, { name: 'endless', seeds: ['a', 'stuck'], check(input) { while (input.length === 5); return ''; } });";
  const { out, signal } = run(t, body, { BERTH_FUZZ_PATIENCE_MS: '300' });
  t.equal(signal, 'SIGKILL');
  t.match(out, /endless: no end within 300 ms: "stuck"/);
});
