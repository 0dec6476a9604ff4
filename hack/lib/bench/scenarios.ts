// What is measured. Runs of the peers alternate, since two identical runs on a shared machine differ by a third; each
// scenario leaves the peers without pods.
import { setTimeout as delay } from 'node:timers/promises';
import { type Scenario, type StandingPeer, unlessAborted } from './context.ts';
import type { Pod } from './cri.ts';
import type { Peer } from './peers.ts';
import { pssMib, rssMib } from './proc.ts';
import { measurePulls } from './pull.ts';
import { compared, type Figure, figure, percentile } from './report.ts';

const SEQUENTIAL_PODS = 20;
const CONCURRENCY = 8;
const CONCURRENT_ROUNDS = 3;
const MEMORY_PODS = 20;
const LIST_PODS = 100;
const LIST_CALLS = 100;
const SETTLE_MS = 5000;

const IDLE_GOAL_MIB = 90;
const LIST_GOAL_MS = 5;
const STALL_GOAL_MS = 20;

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  pull: measurePulls, // before there are standing peers, so that nothing else runs
  memory: onStanding(measureMemory),
  pod: onStanding(measurePods),
  stall: onStanding(measureStall),
  list: onStanding(measureLists),
};

/** A scenario of pods on the peers of the whole run, which take down whatever it leaves. */
function onStanding(measure: (peers: readonly StandingPeer[]) => Promise<Figure[]>): Scenario {
  return async (bench) => {
    const peers = await bench.standing();
    return await unlessAborted(bench.signal, measure(peers));
  };
}

const STEPS = ['run', 'create', 'start', 'exec', 'stop', 'remove', 'whole'] as const;
type Times = Record<(typeof STEPS)[number], number[]>;
const noTimes = (): Times => ({ run: [], create: [], start: [], exec: [], stop: [], remove: [], whole: [] });

async function lifecycle(peer: Peer, times: Times): Promise<void> {
  const timed = async <T>(step: keyof Times, work: () => Promise<T>): Promise<T> => {
    const began = performance.now();
    const result = await work();
    times[step].push(performance.now() - began);
    return result;
  };
  const { cri } = peer;
  await timed('whole', async () => {
    const pod = await timed('run', () => cri.runPod());
    const container = await timed('create', () => cri.createContainer(pod));
    await timed('start', () => cri.startContainer(container));
    await timed('exec', () => cri.exec(container));
    await timed('stop', () => cri.stop(pod, container));
    await timed('remove', () => cri.remove(pod, container));
  });
}

async function measurePods(peers: readonly Peer[]): Promise<Figure[]> {
  for (const peer of peers) await lifecycle(peer, noTimes()); // warm: caches, first bridge
  const sequential = new Map(peers.map((peer) => [peer, noTimes()]));
  for (let at = 0; at < SEQUENTIAL_PODS; at += 1) {
    for (const [peer, times] of sequential) await lifecycle(peer, times);
  }
  const concurrent = new Map(peers.map((peer) => [peer, noTimes()]));
  for (let at = 0; at < CONCURRENT_ROUNDS; at += 1) {
    for (const [peer, times] of concurrent) await Promise.all(Array.from({ length: CONCURRENCY }, () => lifecycle(peer, times)));
  }
  return [...lifecycleFigures('pod, one at a time', sequential), ...lifecycleFigures(`pod, ${CONCURRENCY} at a time`, concurrent)];
}

function lifecycleFigures(scenario: string, times: ReadonlyMap<Peer, Times>): Figure[] {
  return STEPS.flatMap((step) =>
    [0.5, 0.95].map((p) =>
      compared(
        { scenario, metric: `${step} p${p * 100}`, unit: 'ms' },
        [...times].map(([peer, each]) => [peer.name, percentile(each[step], p)]),
      ),
    ),
  );
}

async function upPods(peer: Peer, count: number): Promise<{ pod: Pod; container: string }[]> {
  const up: { pod: Pod; container: string }[] = [];
  for (let at = 0; at < count; at += 1) {
    const pod = await peer.cri.runPod();
    const container = await peer.cri.createContainer(pod);
    await peer.cri.startContainer(container);
    up.push({ pod, container });
  }
  return up;
}

async function measureMemory(peers: readonly StandingPeer[]): Promise<Figure[]> {
  await delay(SETTLE_MS);
  const idle = peers.map((peer) => [peer.name, peer.idleRssMib] as const);
  const pulled = peers.map((peer) => [peer.name, rssMib(peer.daemon.pid)] as const);
  const perPod: (readonly [string, number])[] = [];
  const daemons: (readonly [string, number])[] = [];
  for (const peer of peers) {
    const before = pssMib(peer.processes());
    await upPods(peer, MEMORY_PODS);
    await delay(SETTLE_MS);
    perPod.push([peer.name, (pssMib(peer.processes()) - before) / MEMORY_PODS]);
    daemons.push([peer.name, rssMib(peer.daemon.pid)]);
    await peer.cri.removeAll();
  }
  const scenario = 'memory';
  return [
    compared({ scenario, metric: 'daemon idle, RSS', unit: 'MiB', atMost: IDLE_GOAL_MIB }, idle),
    compared({ scenario, metric: 'daemon idle after a pull, RSS', unit: 'MiB' }, pulled),
    compared({ scenario, metric: `daemon with ${MEMORY_PODS} pods, RSS`, unit: 'MiB' }, daemons),
    compared({ scenario, metric: `one more pod, PSS of all its processes (of ${MEMORY_PODS})`, unit: 'MiB' }, perPod),
  ];
}

async function measureLists(peers: readonly Peer[]): Promise<Figure[]> {
  const lists: (readonly [string, number])[] = [];
  const statuses: (readonly [string, number])[] = [];
  for (const peer of peers) {
    const up = await upPods(peer, LIST_PODS);
    const listTimes: number[] = [];
    const statusTimes: number[] = [];
    for (let at = 0; at < LIST_CALLS; at += 1) {
      const began = performance.now();
      const listed = await peer.cri.listContainers();
      const between = performance.now();
      await peer.cri.containerStatus(up[at % up.length]?.container ?? '');
      statusTimes.push(performance.now() - between);
      listTimes.push(between - began);
      if (listed !== LIST_PODS) throw new Error(`${peer.name} lists ${listed} containers of ${LIST_PODS}`);
    }
    lists.push([peer.name, percentile(listTimes, 0.5)]);
    statuses.push([peer.name, percentile(statusTimes, 0.5)]);
    await peer.cri.removeAll();
  }
  const scenario = `list, ${LIST_PODS} pods`;
  return [
    compared({ scenario, metric: 'ListContainers p50', unit: 'ms', atMost: LIST_GOAL_MS }, lists),
    compared({ scenario, metric: 'ContainerStatus p50', unit: 'ms', atMost: LIST_GOAL_MS }, statuses),
  ];
}

/** berth only: the longest time its event loop stood still while pods started. */
async function measureStall(peers: readonly Peer[]): Promise<Figure[]> {
  const berth = peers.find((peer) => peer.longestStallMs !== undefined);
  if (berth?.longestStallMs === undefined) return [];
  await lifecycle(berth, noTimes());
  const stalls: number[] = [];
  for (let at = 0; at < CONCURRENT_ROUNDS; at += 1) {
    const start = async () => void (await Promise.all(Array.from({ length: CONCURRENCY }, () => upPods(berth, 1))));
    stalls.push(await berth.longestStallMs(start));
    await berth.cri.removeAll();
  }
  const metric = `longest of the event loop, ${CONCURRENCY} pods starting (median of ${CONCURRENT_ROUNDS})`;
  return [figure({ scenario: 'stall', metric, unit: 'ms', berth: percentile(stalls, 0.5), peers: {}, atMost: STALL_GOAL_MS })];
}
