// `hack/bench`: starts berth and its peers side by side, runs the scenarios, prints the table, ends everything. Runs in
// a network and mount namespace of its own (hack/bench sees to that).
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { endProcess } from '../background.ts';
import { demoImage } from '../demo/image.ts';
import { pushTo, startRegistry } from '../registry.ts';
import { type Peer, startBerth, startContainerd } from './peers.ts';
import { type Figure, table } from './report.ts';
import { SCENARIOS } from './scenarios.ts';

const REGISTRY_GRACE_MS = 5000;
const BRIDGE_NETWORK = {
  cniVersion: '1.0.0',
  name: 'bench',
  plugins: [{ type: 'bridge', bridge: 'bench0', isGateway: true, ipam: { type: 'host-local', ranges: [[{ subnet: '10.250.0.0/16' }]] } }],
};

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' }, only: { type: 'string' } },
});
const chosen = positionals.length > 0 ? positionals : Object.keys(SCENARIOS);
const unknown = chosen.filter((name) => SCENARIOS[name] === undefined);
if (unknown.length > 0) {
  console.error(`No scenario ${unknown.join(', ')}. Scenarios: ${Object.keys(SCENARIOS).join(', ')}`);
  process.exit(2);
}
process.exitCode = await bench();

async function bench(): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'berth-bench-'));
  const stack = new AsyncDisposableStack();
  let problems: string[] = [];
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => reject(new Error(`interrupted by ${signal}`)));
  });
  stack.defer(() => rmSync(dir, { recursive: true, force: true }));
  try {
    const figures = await Promise.race([
      measure(dir, stack, (found) => {
        problems = problems.concat(found);
      }),
      interrupted,
    ]);
    console.log(table(figures));
    if (options.json !== undefined)
      writeFileSync(
        options.json,
        `${JSON.stringify(
          figures.map(({ met, ...rest }) => rest),
          null,
          2,
        )}\n`,
      );
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  await stack.disposeAsync();
  for (const problem of problems) console.error(problem);
  return problems.length === 0 ? 0 : 1;
}

async function measure(dir: string, stack: AsyncDisposableStack, report: (problems: string[]) => void): Promise<Figure[]> {
  const registry = await startRegistry(join(dir, 'registry'));
  stack.defer(async () => void (await endProcess(registry.process, REGISTRY_GRACE_MS)));
  const image = await pushTo(registry, demoImage(), { repository: 'bench/work', tag: '1' });
  const cniConfDir = join(dir, 'cni');
  mkdirSync(cniConfDir);
  const [plugin] = BRIDGE_NETWORK.plugins;
  const network = { ...BRIDGE_NETWORK, plugins: [{ ...plugin, ipam: { ...plugin?.ipam, dataDir: join(dir, 'ipam') } }] };
  writeFileSync(join(cniConfDir, '10-bench.conflist'), JSON.stringify(network));
  const peers: Peer[] = [];
  for (const [name, begin] of Object.entries({ berth: startBerth, containerd: startContainerd })) {
    if (options.only !== undefined && options.only !== name) continue;
    const peer = await begin({ image, cniConfDir });
    stack.defer(async () => report(await peer.end()));
    await peer.cri.pull();
    console.error(`${await peer.cri.version()}, pid ${peer.daemon.pid}`);
    peers.push(peer);
  }
  const figures: Figure[] = [];
  for (const name of chosen) {
    console.error(`scenario ${name}...`);
    figures.push(...((await SCENARIOS[name]?.(peers)) ?? []));
  }
  return figures;
}
