// `pull`: images of several shapes, cold, from the loopback registry. Every pull has a daemon of its own, started for
// it, at rest, on a file system made for it; the peers take turns and the one that begins alternates. What the call
// costs is measured from the request to the answer; starting, ending and unmounting are not part of it.
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { type Bench, unlessAborted } from './context.ts';
import { requireRoom } from './fresh-disk.ts';
import type { Peer, StartPeer } from './peers.ts';
import { cpuSeconds, peakRssMib, resetPeakRss } from './proc.ts';
import { type ImageName, type PushedImage, pushPullImages } from './pull-images.ts';
import { compared, type Figure, type Goal, percentile, type Subject } from './report.ts';

const CPU_RATIO_GOAL = 1;
const PEAK_GOAL_MIB = 200;
const STALL_GOAL_MS = 20;

/** A daemon is at rest when it used no more than this... */
const REST_CPU_S = 0.01;
/** ...in each of so many looks in a row... */
const REST_LOOKS = 4;
const REST_LOOK_MS = 100;
/** ...for which there is this much time. */
const REST_DEADLINE_MS = 15_000;

/** What is pulled, and what is wanted of it. */
interface Shape {
  readonly title: string;
  readonly images: readonly ImageName[];
  readonly atOnce: boolean;
  readonly rounds: number;
  readonly time: Goal;
}

const SHAPES: readonly Shape[] = [
  { title: 'gzip', images: ['gzip'], atOnce: false, rounds: 5, time: { ratioAtMost: 0.5 } },
  { title: 'zstd', images: ['zstd'], atOnce: false, rounds: 3, time: { ratioAtMost: 0.6 } },
  { title: '60 layers', images: ['layers'], atOnce: false, rounds: 3, time: {} },
  { title: 'two that share layers', images: ['shared-1', 'shared-2'], atOnce: false, rounds: 3, time: {} },
  { title: 'two that share layers, at once', images: ['shared-1', 'shared-2'], atOnce: true, rounds: 3, time: {} },
];

/** What one run of one peer cost. */
interface Sample {
  readonly wallS: number;
  readonly cpuS: number;
  readonly peakMib: number;
  readonly stallMs: number | undefined;
}

/** Measures all shapes. */
export async function measurePulls(bench: Bench): Promise<Figure[]> {
  requireRoom(tmpdir());
  const images = await pushPullImages(bench.registry, bench.signal);
  const figures: Figure[] = [];
  for (const shape of SHAPES) {
    const rounds = bench.rounds ?? shape.rounds;
    const samples = new Map(Object.keys(bench.starters).map((name) => [name, [] as Sample[]]));
    for (let round = 1; round <= rounds; round += 1) {
      const starters = Object.entries(bench.starters);
      for (const [name, start] of round % 2 === 1 ? starters : starters.reverse()) {
        const wanted = shape.images.map((image) => images[image]);
        const sample = await pullOnce({ bench, start, wanted, atOnce: shape.atOnce }).catch((error: unknown) => {
          bench.signal.throwIfAborted();
          throw new Error(`${name} could not be measured pulling ${shape.title}: ${error instanceof Error ? error.message : error}`);
        });
        samples.get(name)?.push(sample);
        console.error(`  ${shape.title}, round ${round} of ${rounds}, ${name}: ${words(sample)}`);
      }
    }
    figures.push(...figuresOf(shape, rounds, samples));
  }
  return figures;
}

/** Starts a peer on a fresh file system, pulls, takes everything down, whatever happens. */
async function pullOnce(o: { bench: Bench; start: StartPeer; wanted: readonly PushedImage[]; atOnce: boolean }): Promise<Sample> {
  const { bench } = o;
  bench.signal.throwIfAborted();
  requireRoom(tmpdir());
  const peer = await o.start({ ...bench.options, freshDisk: true });
  try {
    await unlessAborted(bench.signal, atRest(peer));
    return await unlessAborted(
      bench.signal,
      sampled(peer, () => pullAll(peer, o.wanted, o.atOnce)),
    );
  } finally {
    bench.report(await peer.end());
  }
}

async function sampled(peer: Peer, work: () => Promise<void>): Promise<Sample> {
  const { pid } = peer.daemon;
  let wallS = Number.NaN;
  let cpuS = Number.NaN;
  const timed = async (): Promise<void> => {
    const cpuBefore = cpuSeconds(pid);
    const began = performance.now();
    await work();
    wallS = (performance.now() - began) / 1000;
    cpuS = cpuSeconds(pid) - cpuBefore;
  };
  resetPeakRss(pid);
  const stallMs = peer.longestStallMs === undefined ? void (await timed()) : await peer.longestStallMs(timed);
  return { wallS, cpuS, peakMib: peakRssMib(pid), stallMs };
}

async function pullAll(peer: Peer, wanted: readonly PushedImage[], atOnce: boolean): Promise<void> {
  const pull = async ({ reference, id }: PushedImage): Promise<void> => {
    const answered = await peer.cri.pull(reference);
    if (answered !== id) throw new Error(`${peer.name} answers the pull of ${reference} with ${answered}, the image is ${id}`);
  };
  if (atOnce) await Promise.all(wanted.map(pull));
  else for (const image of wanted) await pull(image);
}

/** Waits until a daemon has finished what it does after its start. */
async function atRest(peer: Peer): Promise<void> {
  const deadline = performance.now() + REST_DEADLINE_MS;
  let before = cpuSeconds(peer.daemon.pid);
  for (let quiet = 0; quiet < REST_LOOKS; ) {
    if (performance.now() > deadline) throw new Error(`${peer.name} is still busy ${REST_DEADLINE_MS / 1000} s after its start`);
    await delay(REST_LOOK_MS);
    const now = cpuSeconds(peer.daemon.pid);
    quiet = now - before < REST_CPU_S * 1.5 ? quiet + 1 : 0; // ticks of 0.01 s do not add up exactly
    before = now;
  }
}

function figuresOf(shape: Shape, rounds: number, samples: ReadonlyMap<string, readonly Sample[]>): Figure[] {
  const scenario = `pull, ${shape.title}`;
  const of = `(median of ${rounds})`;
  const medians = (subject: Omit<Subject, 'scenario'>, value: (sample: Sample) => number | undefined): Figure[] => {
    const byPeer = [...samples].flatMap(([name, each]) => {
      const values = each.flatMap((sample) => value(sample) ?? []);
      return values.length === 0 ? [] : [[name, percentile(values, 0.5)] as const];
    });
    return byPeer.length === 0 ? [] : [compared({ scenario, ...subject }, byPeer)];
  };
  return [
    ...medians({ metric: `PullImage ${of}`, unit: 's', ...shape.time }, (sample) => sample.wallS),
    ...medians({ metric: `CPU of the daemon ${of}`, unit: 's', ratioAtMost: CPU_RATIO_GOAL }, (sample) => sample.cpuS),
    ...medians({ metric: `peak RSS of the daemon ${of}`, unit: 'MiB', atMost: PEAK_GOAL_MIB }, (sample) => sample.peakMib),
    ...medians({ metric: `longest stall of the event loop ${of}`, unit: 'ms', atMost: STALL_GOAL_MS }, (sample) => sample.stallMs),
  ];
}

function words({ wallS, cpuS, peakMib, stallMs }: Sample): string {
  const stall = stallMs === undefined ? '' : `, stall ${stallMs.toFixed(1)} ms`;
  return `${wallS.toFixed(2)} s, CPU ${cpuS.toFixed(2)} s, peak ${peakMib.toFixed(0)} MiB${stall}`;
}
