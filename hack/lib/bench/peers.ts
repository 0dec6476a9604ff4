// The runtimes that are compared, each throw-away: its own directories and socket, the same image and the same CNI
// configuration. A peer's processes are found by its directories in their command lines, and their descendants.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { endProcess, eventually, isRunning, type ProcessRef, startInBackground } from '../background.ts';
import { describe, end, removeCgroups, start } from '../throwaway.ts';
import { Cri } from './cri.ts';

const STALL_PROBE = new URL('./stall-probe.js', import.meta.url).href;
const READY_DEADLINE_MS = 30_000;
const END_GRACE_MS = 10_000;
const SETTLE_MS = 5000;

export interface Peer {
  readonly name: string;
  readonly cri: Cri;
  readonly daemon: ProcessRef;
  /** Of the daemon, some seconds after its start and before its first request. */
  readonly idleRssMib: number;
  /** Milliseconds that its event loop stood still at most during `work`; undefined where there is none. */
  readonly longestStallMs: ((work: () => Promise<void>) => Promise<number>) | undefined;
  /** The daemon, its monitors, shims and pauses, and the workloads. */
  processes(): number[];
  /** Removes every pod and everything else; answers what went wrong. */
  end(): Promise<string[]>;
}

/** What all peers share. */
export interface Shared {
  readonly image: string;
  readonly cniConfDir: string;
}

/** berth as it would be installed: the bundle, its default settings. */
export async function startBerth(shared: Shared): Promise<Peer> {
  const place = await describe({ name: 'bench', cniConfDir: shared.cniConfDir });
  const stallFile = join(place.dir, 'stall');
  const probe = { NODE_OPTIONS: `--import=${STALL_PROBE}`, BENCH_STALL_FILE: stallFile };
  const daemon = await start(place, probe).catch(async (error: unknown) => {
    await end(place, undefined);
    throw error;
  });
  const cri = new Cri({ socket: place.socket, image: shared.image, cgroupParent: place.cgroupParent });
  return {
    name: 'berth',
    cri,
    daemon,
    idleRssMib: await settledRssMib(daemon.pid),
    async longestStallMs(work) {
      rmSync(stallFile, { force: true });
      process.kill(daemon.pid, 'SIGUSR2');
      await work();
      process.kill(daemon.pid, 'SIGUSR2');
      if (!(await eventually(() => existsSync(stallFile), END_GRACE_MS))) throw new Error('berth’s stall probe did not answer');
      return Number(readFileSync(stallFile, 'utf8'));
    },
    processes: () => processesOf([place.dir, place.state]),
    async end() {
      cri[Symbol.dispose]();
      return await end(place, daemon);
    },
  };
}

/** Debian's containerd with its CRI plugin and runc. */
export async function startContainerd(shared: Shared): Promise<Peer> {
  const dir = mkdtempSync(join(tmpdir(), 'berth-bench-containerd-'));
  const state = `/run/berth-bench-containerd-${dir.slice(-6)}`;
  mkdirSync(state, { mode: 0o711 });
  const socket = `${state}/containerd.sock`;
  const config = join(dir, 'config.toml');
  writeFileSync(config, containerdConfig({ dir, state, socket, shared }));
  const logFile = join(dir, 'containerd.log');
  const daemon = await startInBackground(['containerd', '--config', config], { logFile });
  const cgroupParent = `/${basename(dir)}`;
  const cri = new Cri({ socket, image: shared.image, cgroupParent });
  const answers = async () => {
    if (!isRunning(daemon)) throw new Error(`containerd ended at start: ${readFileSync(logFile, 'utf8').slice(-2000)}`);
    return await cri.version().then(
      () => true,
      () => false, // refused or "server is not initialized yet" until it is up
    );
  };
  if (!(await eventually(answers, READY_DEADLINE_MS)))
    throw new Error(`containerd does not answer: ${readFileSync(logFile, 'utf8').slice(-2000)}`);
  return {
    name: 'containerd',
    cri,
    daemon,
    idleRssMib: await settledRssMib(daemon.pid),
    longestStallMs: undefined,
    processes: () => processesOf([dir, state]),
    async end() {
      const problems: string[] = [];
      await cri.removeAll().catch((error: unknown) => problems.push(`containerd: ${error}`));
      cri[Symbol.dispose]();
      await endProcess(daemon, END_GRACE_MS);
      for (const pid of processesOf([dir, state])) process.kill(pid, 'SIGKILL');
      removeCgroups(cgroupParent);
      // Its sandboxes' shm and rootfs mounts are gone with the pods; what is left would make these fail.
      for (const tree of [state, dir]) rmSync(tree, { recursive: true, force: true });
      return problems;
    },
  };
}

function containerdConfig(o: { dir: string; state: string; socket: string; shared: Shared }): string {
  return `version = 2
root = "${o.dir}/root"
state = "${o.state}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "${o.socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${o.dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${o.shared.image}"
  # Without CAP_SYS_RESOURCE a lower score than one's own is refused.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${o.shared.cniConfDir}"
`;
}

async function settledRssMib(pid: number): Promise<number> {
  await delay(SETTLE_MS);
  return rssMib(pid);
}

/** Resident memory of one process (proc(5), VmRSS). */
export function rssMib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(read(pid, 'status'))?.[1] ?? Number.NaN) / 1024;
}

/** Pids whose command line names one of `dirs`, and all their descendants. */
function processesOf(dirs: readonly string[]): number[] {
  const parents = new Map<number, number>();
  const found = new Set<number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const pid = Number(name);
    parents.set(pid, Number(read(pid, 'stat').split(') ').at(-1)?.split(' ')[1] ?? 0));
    const command = read(pid, 'cmdline');
    if (dirs.some((dir) => command.includes(dir))) found.add(pid);
  }
  const isOurs = (pid: number): boolean => found.has(pid) || (pid > 1 && isOurs(parents.get(pid) ?? 0));
  return [...parents.keys()].filter((pid) => pid !== process.pid && isOurs(pid));
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // gone meanwhile
  }
}
