// The runtimes that are compared, each throw-away: its own directories and socket, the same image and the same CNI
// configuration. A peer's processes are found by its directories in their command lines, and their descendants.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { endProcess, eventually, isRunning, type ProcessRef, startInBackground } from '../background.ts';
import { describe, end, removeCgroups, start } from '../throwaway.ts';
import { Cri } from './cri.ts';
import { mountFreshDisk } from './fresh-disk.ts';
import { processesOf } from './proc.ts';

const STALL_PROBE = new URL('./stall-probe.js', import.meta.url).href;
const READY_DEADLINE_MS = 30_000;
const END_GRACE_MS = 10_000;

export interface Peer {
  readonly name: string;
  readonly cri: Cri;
  readonly daemon: ProcessRef;
  /** Milliseconds that its event loop stood still at most during `work`; undefined where there is none. */
  readonly longestStallMs: ((work: () => Promise<void>) => Promise<number>) | undefined;
  /** The daemon, its monitors, shims and pauses, and the workloads. */
  processes(): number[];
  /** Removes every pod and everything else; answers what went wrong. */
  end(): Promise<string[]>;
}

/** How a peer is set up. */
export interface PeerOptions {
  /** What its pods are made of. */
  readonly image: string;
  readonly cniConfDir: string;
  /** Its persistent directory is a file system of its own, made for it: for a peer that pulls and runs no pods. */
  readonly freshDisk?: boolean;
}

/** Starts a peer; what a start that failed has made is removed again. */
export type StartPeer = (options: PeerOptions) => Promise<Peer>;

/** The runtimes by name, in the order of the report. */
export const PEERS: Readonly<Record<string, StartPeer>> = { berth: startBerth, containerd: startContainerd };

/** berth as it would be installed: the bundle, its default settings. */
async function startBerth(options: PeerOptions): Promise<Peer> {
  const place = await describe({ name: 'bench', cniConfDir: options.cniConfDir });
  const problems: string[] = [];
  await using stack = new AsyncDisposableStack();
  let daemon: ProcessRef | undefined;
  stack.defer(async () => void problems.push(...(await end(place, daemon))));
  if (options.freshDisk === true) {
    const disk = mountFreshDisk(join(place.dir, 'root'));
    stack.defer(async () => {
      if (daemon !== undefined) await endProcess(daemon, END_GRACE_MS);
      daemon = undefined; // it ran no pods, so `end` need not ask it
      await noting(problems, () => disk.end());
    });
  }
  const stallFile = join(place.dir, 'stall');
  daemon = await start(place, { NODE_OPTIONS: `--import=${STALL_PROBE}`, BENCH_STALL_FILE: stallFile });
  const { pid } = daemon;
  const cri = stack.use(new Cri({ socket: place.socket, image: options.image, cgroupParent: place.cgroupParent }));
  stack.defer(() => cri.quiesce(END_GRACE_MS));
  return {
    name: 'berth',
    cri,
    daemon,
    async longestStallMs(work) {
      rmSync(stallFile, { force: true });
      process.kill(pid, 'SIGUSR2');
      await work();
      process.kill(pid, 'SIGUSR2');
      if (!(await eventually(() => existsSync(stallFile), END_GRACE_MS))) throw new Error('berth’s stall probe did not answer');
      return Number(readFileSync(stallFile, 'utf8'));
    },
    processes: () => processesOf([place.dir, place.state]),
    end: ending(stack.move(), problems),
  };
}

/** Debian's containerd with its CRI plugin and runc. */
async function startContainerd(options: PeerOptions): Promise<Peer> {
  const dir = mkdtempSync(join(tmpdir(), 'berth-bench-containerd-'));
  const state = `/run/berth-bench-containerd-${dir.slice(-6)}`;
  const cgroupParent = `/${basename(dir)}`;
  const problems: string[] = [];
  await using stack = new AsyncDisposableStack();
  const atEnd = (step: () => unknown): void => stack.defer(() => noting(problems, step));
  // Its sandboxes' shm and rootfs mounts are gone with the pods; what is left would make these fail.
  for (const tree of [dir, state]) atEnd(() => rmSync(tree, { recursive: true, force: true }));
  mkdirSync(state, { mode: 0o711 });
  if (options.freshDisk === true) {
    const disk = mountFreshDisk(join(dir, 'root'));
    atEnd(() => disk.end());
  }
  const socket = `${state}/containerd.sock`;
  const config = join(dir, 'config.toml');
  writeFileSync(config, containerdConfig({ dir, state, socket, options }));
  const logFile = join(dir, 'containerd.log');
  atEnd(() => removeCgroups(cgroupParent));
  atEnd(() => {
    for (const pid of processesOf([dir, state])) process.kill(pid, 'SIGKILL');
  });
  const daemon = await startInBackground(['containerd', '--config', config], { logFile });
  atEnd(() => endProcess(daemon, END_GRACE_MS));
  const cri = stack.use(new Cri({ socket, image: options.image, cgroupParent }));
  await answering({ cri, daemon, logFile });
  atEnd(() => cri.removeAll());
  atEnd(() => cri.quiesce(END_GRACE_MS));
  return {
    name: 'containerd',
    cri,
    daemon,
    longestStallMs: undefined,
    processes: () => processesOf([dir, state]),
    end: ending(stack.move(), problems),
  };
}

async function answering({ cri, daemon, logFile }: { cri: Cri; daemon: ProcessRef; logFile: string }): Promise<void> {
  const logEnd = (): string => readFileSync(logFile, 'utf8').slice(-2000);
  const answers = async () => {
    if (!isRunning(daemon)) throw new Error(`containerd ended at start: ${logEnd()}`);
    return await cri.version().then(
      () => true,
      () => false, // refused or "server is not initialized yet" until it is up
    );
  };
  if (!(await eventually(answers, READY_DEADLINE_MS))) throw new Error(`containerd does not answer: ${logEnd()}`);
}

/** Ends what `stack` holds, once, and answers what went wrong. */
function ending(stack: AsyncDisposableStack, problems: string[]): () => Promise<string[]> {
  return async () => {
    await stack.disposeAsync();
    return problems;
  };
}

/** One step of taking down: what goes wrong is noted and the next step follows. */
async function noting(problems: string[], step: () => unknown): Promise<void> {
  try {
    await step();
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
}

function containerdConfig(o: { dir: string; state: string; socket: string; options: PeerOptions }): string {
  return `version = 2
root = "${o.dir}/root"
state = "${o.state}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "${o.socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${o.dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${o.options.image}"
  # Without CAP_SYS_RESOURCE a lower score than one's own is refused.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${o.options.cniConfDir}"
`;
}
