// A berth for one occasion: its own directories, socket, bridge, cgroup parent and ports, beside whatever else runs on
// the machine, and gone without a trace when it is ended. `describe` picks the places, `start` starts the daemon there,
// `end` removes every pod through the daemon, then the daemon, then the places. The description is plain data, so
// that a kept one can be written down and ended by a later process.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endProcess, eventually, freePort, isRunning, type ProcessRef, startInBackground } from './background.ts';
import { newSince } from './machine.ts';

export const BERTH = new URL('../berth', import.meta.url).pathname;
const READY_DEADLINE_MS = 20_000;
const END_GRACE_MS = 10_000;
/** Networks for throw-away berths; the first that no route of the machine touches is taken. */
const CIDR_CANDIDATES = Array.from({ length: 40 }, (_, at) => `10.${211 + at}.0.0/24`);

export interface Throwaway {
  /** Everything on disk. */
  readonly dir: string;
  /** Everything at run time, on a tmpfs. */
  readonly state: string;
  readonly socket: string;
  readonly configFile: string;
  readonly logFile: string;
  /** 127.0.0.1:PORT */
  readonly metrics: string;
  readonly bridge: string;
  readonly cgroupParent: string;
  /** The host's forwarding switch as it was: berth turns it on for its pods. */
  readonly ipForward: string;
}

/** Near ends of pods' links are named so (src/network/embedded/bridge.ts). */
const POD_LINK_PREFIX = 'bth';
const IP_FORWARD = '/proc/sys/net/ipv4/ip_forward';

/** Picks free places and writes the configuration. */
export async function describe(o: { name: string; cniConfDir?: string; settings?: string }): Promise<Throwaway> {
  const dir = mkdtempSync(join(tmpdir(), `berth-${o.name}-`));
  const tag = dir.slice(-6).toLowerCase();
  const state = `/run/berth-${o.name}-${tag}`;
  const metrics = `127.0.0.1:${await freePort()}`;
  const place: Throwaway = {
    dir,
    state,
    socket: `${state}/berth.sock`,
    configFile: join(dir, 'config.toml'),
    logFile: join(dir, 'berth.log'),
    metrics,
    bridge: `bd${tag}`,
    cgroupParent: `/berth-${o.name}-${tag}`,
    ipForward: readFileSync(IP_FORWARD, 'utf8'),
  };
  mkdirSync(state, { mode: 0o700 });
  const cniConfDir = o.cniConfDir ?? join(dir, 'cni');
  mkdirSync(cniConfDir, { recursive: true });
  const config = `socket = "${place.socket}"
root = "${dir}/root"
state = "${state}"
[cgroup]
driver = "cgroupfs"
default_parent = "${place.cgroupParent}"
[network]
cni_conf_dir = "${cniConfDir}"
bridge = "${place.bridge}"
pod_cidr = "${freeCidr()}"
[metrics]
address = "${metrics}"
${o.settings ?? ''}`;
  writeFileSync(place.configFile, config);
  return place;
}

/** Starts the daemon of `place` and waits until it answers. Throws with the end of its log when it does not. */
export async function start(place: Throwaway, env: NodeJS.ProcessEnv = {}): Promise<ProcessRef> {
  const argv = [BERTH, 'serve', '--config', place.configFile];
  const daemon = await startInBackground(argv, { logFile: place.logFile, env: { ...process.env, ...env } });
  const ready = () => {
    if (!isRunning(daemon)) throw new Error(`berth ended at start. Its log ends with:\n${logEnd(place)}`);
    return answers(place.socket);
  };
  if (await eventually(ready, READY_DEADLINE_MS)) return daemon;
  await endProcess(daemon, END_GRACE_MS);
  throw new Error(`berth did not answer on ${place.socket} within ${READY_DEADLINE_MS / 1000} s. Its log ends with:\n${logEnd(place)}`);
}

/** Runs one `berth` command against `place` and returns what it printed. */
export function berth(place: Throwaway, ...args: string[]): { status: number; stdout: string; stderr: string } {
  const ran = spawnSync(BERTH, args, {
    encoding: 'utf8',
    env: { ...process.env, BERTH_SOCKET: place.socket },
    maxBuffer: 64 * 1024 * 1024,
  });
  if (ran.error !== undefined) throw ran.error;
  return { status: ran.status ?? 1, stdout: ran.stdout, stderr: ran.stderr };
}

/**
 * Takes everything down: pods through the daemon (which is started again when it died, since recovery is what knows
 * them), the daemon, the bridge, the cgroup parent, the directories. Idempotent. Answers what went wrong.
 */
export async function end(place: Throwaway, daemon: ProcessRef | undefined): Promise<string[]> {
  const problems: string[] = [];
  const attempt = async (what: string, work: () => unknown) => {
    try {
      await work();
    } catch (error) {
      problems.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  if (daemon !== undefined) {
    await attempt('removing the pods', async () => {
      const serving = isRunning(daemon) ? daemon : await start(place);
      const removed = berth(place, 'rmp', '--all', '--force');
      if (removed.status !== 0) problems.push(`berth rmp --all --force: ${removed.stderr.trim()}`);
      if (!(await endProcess(serving, END_GRACE_MS))) problems.push(`the daemon did not end within ${END_GRACE_MS / 1000} s of SIGTERM`);
    });
  }
  await attempt('removing the bridge', () => removeNetwork(place));
  await attempt('removing the cgroups', () => removeCgroups(place.cgroupParent));
  for (const dir of [place.state, place.dir]) await attempt(`removing ${dir}`, () => removeTree(dir));
  return problems;
}

/**
 * What of `place` is on the machine now and was not at `before` (machineState), once the last links had time to vanish.
 * What others started meanwhile does not count.
 */
export async function leftOver(before: readonly string[], place: Throwaway): Promise<string[]> {
  const marks = [place.dir, place.state, place.bridge, place.cgroupParent, `link ${POD_LINK_PREFIX}`, 'sysctl'];
  let left: string[] = [];
  await eventually(() => {
    left = newSince(before).filter((line) => marks.some((mark) => line.includes(mark)));
    return left.length === 0;
  }, END_GRACE_MS / 2);
  return left;
}

function removeNetwork(place: Throwaway): void {
  if (readFileSync(IP_FORWARD, 'utf8') !== place.ipForward) writeFileSync(IP_FORWARD, place.ipForward);
  if (existsSync(`/sys/class/net/${place.bridge}`)) spawnSync('ip', ['link', 'delete', place.bridge]);
  const tables = spawnSync('nft', ['list', 'tables'], { encoding: 'utf8' }).stdout ?? '';
  for (const [, family, name] of tables.matchAll(/^table (\S+) (\S+)$/gm)) {
    if (family !== undefined && name?.includes(place.bridge)) spawnSync('nft', ['delete', 'table', family, name]);
  }
}

/** Removes the parent's empty directories in every hierarchy; rmdir refuses one in use. */
export function removeCgroups(parent: string): void {
  const root = '/sys/fs/cgroup';
  for (const hierarchy of ['', ...readdirSync(root)]) {
    const top = join(root, hierarchy, parent);
    if (!existsSync(join(top, 'cgroup.procs'))) continue;
    const below = readdirSync(top, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const entry of below.reverse()) rmdirSync(join(entry.parentPath, entry.name));
    rmdirSync(top);
  }
}

/** Never deletes through a mount: what is still mounted below is a problem to report. */
function removeTree(dir: string): void {
  const mounted = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .filter((target) => target.startsWith(`${dir}/`));
  if (mounted.length > 0) throw new Error(`still mounted: ${mounted.join(', ')}`);
  rmSync(dir, { recursive: true, force: true });
}

function freeCidr(): string {
  const routes = spawnSync('ip', ['-4', 'route', 'show', 'table', 'all'], { encoding: 'utf8' }).stdout ?? '';
  const taken = new Set([...routes.matchAll(/\b(10\.\d+)\./g)].map(([, prefix]) => prefix));
  const free = CIDR_CANDIDATES.find((cidr) => !taken.has(cidr.split('.').slice(0, 2).join('.')));
  if (free === undefined) throw new Error('every network of 10.211.0.0/24 to 10.250.0.0/24 is in use on this machine');
  return free;
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const tried = connect(socket);
    tried.once('connect', () => resolve(true)).once('error', () => resolve(false));
    tried.once('connect', () => tried.destroy());
  });
}

function logEnd(place: Throwaway): string {
  return existsSync(place.logFile) ? readFileSync(place.logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n') : '(no log)';
}
