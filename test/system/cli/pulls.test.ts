// `berth pulls` against berth's own gRPC server over a real socket, with a domain in memory.
import t, { type Test } from 'tap';
import { Harness } from '../../fixtures/cri/client.ts';
import { layerProgress, pullProgress } from '../../fixtures/cri/services.ts';
import { until } from '../../fixtures/eventually.ts';
import { RecordingTerminal, runOn, type Said } from '../../fixtures/terminal.ts';

interface Served {
  readonly services: Harness['services'];
  readonly env: Record<string, string>;
  cli(...argv: string[]): Promise<Said>;
}

async function served(t: Test): Promise<Served> {
  const harness = new Harness();
  t.teardown(() => harness[Symbol.asyncDispose]());
  await harness.start();
  const env = { BERTH_SOCKET: harness.socket };
  return { services: harness.services, env, cli: (...argv) => runOn(new RecordingTerminal({ env }), argv) };
}

/** Lines as lists of cells. */
const cells = (text: string): string[][] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {3,}/));

t.test('pulls lists what is pulled and was pulled', async (t) => {
  const { services, cli } = await served(t);
  t.match(await cli('pulls'), { code: 0, out: /^IMAGE +STATE +LAYERS +DOWNLOADED +UNPACKED +SPEED +LEFT +TIME +FROM\n$/ });
  const layers = [
    layerProgress({ state: 'downloading', downloadedBytes: 524_288, unpackedBytes: 2_097_152, source: 'mirror.example:5000' }),
    layerProgress({ state: 'shared' }),
  ];
  const startedAtNs = BigInt(Date.now() - 60_000) * 1_000_000n;
  const pulling = pullProgress({ reference: 'r.example/b:1', layers, startedAtNs, bytesPerSecond: 262_144, endsInMs: 2000 });
  const failed = pullProgress({
    reference: 'r.example/a:1',
    state: 'failed',
    startedAtNs,
    endedAtNs: startedAtNs + 5_000_000_000n,
    error: 'not there',
  });
  services.pulls = [failed, pulling];
  t.match(cells((await cli('pulls')).out), [
    ['IMAGE', 'STATE'],
    ['r.example/a:1', 'Failed', '-', '-', '-', '-', '-', '5s', '-'],
    [
      'r.example/b:1',
      'Pulling',
      '1/2 (1 shared)',
      '512 KiB of 1.0 MiB',
      '2.0 MiB',
      '256 KiB/s',
      '2s',
      /^60s$|^6\ds$/,
      'mirror.example:5000',
    ],
  ]);
  t.match((await cli('pulls', '-o', 'wide')).out, /ERROR\n.* not there\n/);
  t.match(JSON.parse((await cli('pulls', '-o', 'json')).out), {
    pulls: [
      { reference: 'r.example/a:1', state: 'PULL_FAILED', error: 'not there', endedAt: String(failed.endedAtNs) },
      { state: 'PULL_PULLING', bytesPerSecond: '262144', endsIn: '2000000000', layers: [{ unpackedBytes: '2097152' }, {}] },
    ],
  });
});

t.test('pulls --watch tells each change of state and ends with 0 when interrupted', async (t) => {
  const { services, env } = await served(t);
  const old = pullProgress({ reference: 'r.example/old:1', state: 'done', startedAtNs: 1n, endedAtNs: 2n });
  const now = pullProgress({ reference: 'r.example/now:1', state: 'resolving' });
  const change = (pulls: typeof services.pulls): void => {
    services.pulls = pulls;
    const { resolve } = services.pullsChange;
    services.pullsChange = Promise.withResolvers();
    resolve();
  };
  const terminals = {
    plain: new RecordingTerminal({ env }),
    json: new RecordingTerminal({ env, isOutTty: true }),
    drawn: new RecordingTerminal({ env, isOutTty: true, rows: 4 }),
  };
  services.pulls = [old, now];
  const listeners = process.listenerCount('SIGINT');
  const running = Promise.all([
    runOn(terminals.plain, ['pulls', '--watch']),
    runOn(terminals.json, ['pulls', '-w', '-o', 'json']),
    runOn(terminals.drawn, ['pulls', '-w']),
  ]);
  const told = (text: string): Promise<void> =>
    until(() => Object.values(terminals).every((terminal) => terminal.stdout.includes(text)), text);
  await told('r.example/now:1');
  change([old, { ...now, state: 'pulling', layers: [layerProgress()] }]);
  await until(() => terminals.plain.stdout.includes('Pulling'), 'the next state');
  change([old, { ...now, state: 'pulling', layers: [layerProgress({ downloadedBytes: 7 })] }]);
  change([old, { ...now, state: 'done', endedAtNs: now.startedAtNs + 3_000_000_000n, layers: [layerProgress({ state: 'done' })] }]);
  await until(() => terminals.plain.stdout.includes('Done') && terminals.json.stdout.includes('PULL_DONE'), 'the last state');
  await until(() => /now:1 +Done/.test(terminals.drawn.stdout), 'the last picture');
  process.kill(process.pid, 'SIGINT');
  for (const { code, err } of await running) t.same({ code, err }, { code: 0, err: '' });
  t.equal(process.listenerCount('SIGINT'), listeners, 'no handler is left');
  t.match(terminals.plain.stdout.trimEnd().split('\n'), [
    /^20\S+Z {2}Resolving {2}r\.example\/now:1$/,
    /^20\S+Z {2}Pulling {4}r\.example\/now:1 {2}0\/1 layers, 0 B of 1\.0 MiB$/,
    /^20\S+Z {2}Done {7}r\.example\/now:1 {2}1\/1 layers, 0 B of 1\.0 MiB, 3s$/,
  ]);
  const states = terminals.json.stdout.trimEnd().split('\n');
  t.same(
    states.map((line) => (JSON.parse(line) as { state: string }).state),
    ['PULL_RESOLVING', 'PULL_PULLING', 'PULL_DONE'],
  );
  const pictures = terminals.drawn.stdout.split('\u001b[0J').slice(1);
  t.ok(pictures.length >= 3, 'drawn again and again');
  t.match(pictures[0], /^IMAGE.*\nr\.example\/old:1.*\nr\.example\/now:1/, 'those that ended before, too');
});
