// `hack/bench`: runs the scenarios, each with the peers it needs side by side, prints the table, ends everything. Runs
// in a network and mount namespace of its own (hack/bench sees to that).
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { endProcess } from '../background.ts';
import { demoImage } from '../demo/image.ts';
import { pushTo, startRegistry } from '../registry.ts';
import type { Bench, StandingPeer } from './context.ts';
import { PEERS } from './peers.ts';
import { rssMib } from './proc.ts';
import { type Figure, table } from './report.ts';
import { SCENARIOS } from './scenarios.ts';

const REGISTRY_GRACE_MS = 5000;
/** From a daemon's start until its memory is looked at. */
const SETTLE_MS = 5000;
const BRIDGE_NETWORK = {
  cniVersion: '1.0.0',
  name: 'bench',
  plugins: [{ type: 'bridge', bridge: 'bench0', isGateway: true, ipam: { type: 'host-local', ranges: [[{ subnet: '10.250.0.0/16' }]] } }],
};

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' }, only: { type: 'string' }, rounds: { type: 'string' } },
});
const chosen = positionals.length > 0 ? positionals : Object.keys(SCENARIOS);
const unknown = chosen.filter((name) => SCENARIOS[name] === undefined);
if (unknown.length > 0) refuse(`No scenario ${unknown.join(', ')}. Scenarios: ${Object.keys(SCENARIOS).join(', ')}`);
if (options.only !== undefined && PEERS[options.only] === undefined)
  refuse(`--only ${options.only}: there is no such peer. Peers: ${Object.keys(PEERS).join(', ')}`);
if (options.rounds !== undefined && !/^[1-9]\d?$/.test(options.rounds))
  refuse(`--rounds ${options.rounds}: a number from 1 to 99 is wanted`);
process.exitCode = await bench();

function refuse(why: string): never {
  console.error(why);
  process.exit(2);
}

async function bench(): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'berth-bench-'));
  const stack = new AsyncDisposableStack();
  const problems: string[] = [];
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => interruption.abort(new Error(`interrupted by ${signal}`)));
  stack.defer(() => rmSync(dir, { recursive: true, force: true }));
  try {
    const run = await prepare({ dir, stack, signal: interruption.signal, report: (found) => void problems.push(...found) });
    const figures = await measure(run);
    console.log(table(figures));
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(forFile(figures), null, 2)}\n`);
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  await stack.disposeAsync();
  for (const problem of problems) console.error(problem);
  return problems.length === 0 ? 0 : 1;
}

/** Starts the registry and writes what the peers share. */
async function prepare(o: { stack: AsyncDisposableStack } & Pick<Bench, 'dir' | 'signal' | 'report'>): Promise<Bench> {
  const { stack, ...run } = o;
  const registry = await startRegistry(join(run.dir, 'registry'));
  stack.defer(async () => void (await endProcess(registry.process, REGISTRY_GRACE_MS)));
  const image = await pushTo(registry, demoImage(), { repository: 'bench/work', tag: '1' });
  const cniConfDir = join(run.dir, 'cni');
  mkdirSync(cniConfDir);
  const [plugin] = BRIDGE_NETWORK.plugins;
  const network = { ...BRIDGE_NETWORK, plugins: [{ ...plugin, ipam: { ...plugin?.ipam, dataDir: join(run.dir, 'ipam') } }] };
  writeFileSync(join(cniConfDir, '10-bench.conflist'), JSON.stringify(network));
  let peers: Promise<StandingPeer[]> | undefined;
  const prepared: Bench = {
    ...run,
    registry,
    starters: Object.fromEntries(Object.entries(PEERS).filter(([name]) => options.only === undefined || options.only === name)),
    options: { image, cniConfDir },
    rounds: options.rounds === undefined ? undefined : Number(options.rounds),
    standing() {
      peers ??= startStanding(prepared, stack);
      return peers;
    },
  };
  return prepared;
}

async function startStanding(bench: Bench, stack: AsyncDisposableStack): Promise<StandingPeer[]> {
  const peers: StandingPeer[] = [];
  for (const begin of Object.values(bench.starters)) {
    const peer = await begin(bench.options);
    stack.defer(async () => bench.report(await peer.end()));
    await delay(SETTLE_MS, undefined, { signal: bench.signal });
    const idleRssMib = rssMib(peer.daemon.pid);
    await peer.cri.pull();
    console.error(`${await peer.cri.version()}, pid ${peer.daemon.pid}`);
    peers.push({ ...peer, idleRssMib });
  }
  return peers;
}

async function measure(bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const name of chosen) {
    bench.signal.throwIfAborted();
    console.error(`scenario ${name}...`);
    figures.push(...((await SCENARIOS[name]?.(bench)) ?? []));
  }
  return figures;
}

/** What --json writes: the goal in words, the verdict left to the reader. */
function forFile(figures: readonly Figure[]): Omit<Figure, 'met'>[] {
  return figures.map(({ met, ...rest }) => rest);
}
