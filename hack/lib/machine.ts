// What berth and its tests can leave on a machine, as one flat list of names: processes, mounts, pinned namespaces,
// cgroups (every hierarchy, v1 too), links, nft tables and the forwarding sysctls. Two lists taken before and after
// a run are compared: what is only in the second was left behind. What belongs to the rest of a machine (its
// services, other people's mounts) comes and goes by itself and is not listed.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Programs that berth, the tests and the benchmark start. */
const OUR_PROGRAMS = /^(conmon|catatonit|crun|runc|runc:.*|containerd|containerd-shim.*|docker-registry|busybox|berth)$/;
const OUR_SCRIPTS = /\/(src\/main\.ts|dist\/berth\.js|hack\/[a-z/]+\.ts)$/;
const CGROUPS = '/sys/fs/cgroup';
/** systemd's own units and user sessions. */
const OTHERS_CGROUP = /\.(service|scope|mount|swap|socket|slice)(\/|$)/;
const SYSCTLS = ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding', 'net/ipv4/conf/all/route_localnet'];

/** Everything of ours that is there now; each line begins with its kind. Needs root for a complete answer. */
export function machineState(): string[] {
  return [...processes(), ...mounts(), ...cgroups(), ...links(), ...nftTables(), ...sysctls()].sort();
}

/**
 * What is there now and was not before. A cgroup with processes in it is somebody's at work: a leak of ours is an
 * empty one, or its processes are listed themselves.
 */
export function newSince(before: readonly string[]): string[] {
  return leftBehind(before, machineState()).filter((line) => {
    const path = /^cgroup (.*)$/.exec(line)?.[1];
    return path === undefined || read(join(CGROUPS, path, 'cgroup.procs')) === '';
  });
}

/** Lines of `after` that are not in `before`, a line that occurs more often than before included. */
export function leftBehind(before: readonly string[], after: readonly string[]): string[] {
  const count = new Map<string, number>();
  for (const line of before) count.set(line, (count.get(line) ?? 0) + 1);
  return after.filter((line) => {
    const left = count.get(line) ?? 0;
    count.set(line, left - 1);
    return left <= 0;
  });
}

function processes(): string[] {
  const own = ownProcesses();
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || own.has(pid)) return [];
    const argv = read(`/proc/${pid}/cmdline`).split('\0');
    const command = read(`/proc/${pid}/comm`).trim();
    // A zombie has no command line: it is gone but for its parent's wait.
    if (argv[0] === '' || !(OUR_PROGRAMS.test(command) || argv.slice(0, 4).some((word) => OUR_SCRIPTS.test(word)))) return [];
    return [`process ${pid} ${argv.join(' ').trim().slice(0, 160)}`];
  });
}

/** This process and the scripts that called it. */
function ownProcesses(): Set<string> {
  const own = new Set<string>();
  for (let pid = String(process.pid); pid !== '0' && pid !== ''; ) {
    own.add(pid);
    // Field 4 of stat is the parent; the name in parentheses may hold spaces.
    pid = read(`/proc/${pid}/stat`).split(') ')[1]?.split(' ')[1] ?? '';
  }
  return own;
}

function mounts(): string[] {
  return read('/proc/self/mountinfo')
    .split('\n')
    .flatMap((line) => {
      const [, , , , target, ...rest] = line.split(' ');
      const type = rest[rest.indexOf('-') + 1];
      return target === undefined ? [] : [`mount ${target} (${type})`];
    });
}

function cgroups(): string[] {
  const found: string[] = [];
  const walk = (path: string): void => {
    for (const entry of entriesOf(join(CGROUPS, path))) {
      const child = `${path}/${entry}`;
      if (OTHERS_CGROUP.test(entry) && !/berth|kubepods/.test(entry)) continue;
      found.push(`cgroup ${child}`);
      walk(child);
    }
  };
  walk('');
  return found;
}

function entriesOf(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch {
    return []; // a cgroup that vanished while it was walked
  }
}

function links(): string[] {
  return readdirSync('/sys/class/net', { withFileTypes: true }).flatMap((entry) => (entry.isSymbolicLink() ? [`link ${entry.name}`] : []));
}

function nftTables(): string[] {
  const listed = spawnSync('nft', ['list', 'tables'], { encoding: 'utf8', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
  return (listed.stdout ?? '').split('\n').flatMap((line) => (line === '' ? [] : [`nft ${line}`]));
}

const sysctls = (): string[] => SYSCTLS.map((name) => `sysctl ${name} = ${read(`/proc/sys/${name}`).trim()}`);

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // gone meanwhile, or not on this kernel
  }
}
