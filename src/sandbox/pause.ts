/**
 * The pause process: catatonit in pause mode, without privileges (own uid, no
 * capabilities, no_new_privs), in a cgroup of its own. It holds the pod's
 * namespaces for tools that look by pid and is PID 1 of a shared pid namespace.
 *
 * It carries the daemon's run-time directory and the sandbox id in its
 * environment, so that a pause whose birth was cut short by kill -9 is found
 * again whatever else was lost.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { RuntimeError } from '../errors/index.ts';
import { isAlive, type ProcessRef, SIGNALS, signalProcess, spawn, startTicks } from '../sys/index.ts';

/** Uid and gid of the pause process: what Kubernetes' pause image uses. */
const PAUSE_ID = 65535;
const MARK_STATE = 'BERTH_STATE';
const MARK_SANDBOX = 'BERTH_SANDBOX';

/** What a pause is started with. */
export interface PauseOptions {
  /** Absolute path of catatonit. */
  binary: string;
  /** Run-time directory of this daemon. */
  state: string;
  sandboxId: string;
}

/** Starts a pause in the calling thread's namespaces. Synchronous, under 1 ms. */
export function spawnPause(options: PauseOptions): ProcessRef {
  const child = spawn({
    argv: [
      'setpriv',
      `--reuid=${PAUSE_ID}`,
      `--regid=${PAUSE_ID}`,
      '--clear-groups',
      '--no-new-privs',
      '--bounding-set=-all',
      '--inh-caps=-all',
      options.binary,
      '-P',
    ],
    env: { PATH: '/usr/bin:/bin', [MARK_STATE]: options.state, [MARK_SANDBOX]: options.sandboxId },
    cwd: '/',
    stdin: 'null',
    stdout: 'null',
    stderr: 'null',
  });
  child.unref(); // it is meant to outlive this process
  const ticks = startTicks(child.pid);
  if (ticks === undefined) {
    throw new RuntimeError(
      'internal',
      'PROGRAM_FAILED',
      `the pause process ${options.binary} ended at once; run it by hand with -P to see why`,
    );
  }
  return { pid: child.pid, startTicks: ticks };
}

/** Kills a pause process. Idempotent. */
export function killPause(ref: ProcessRef): void {
  if (isAlive(ref)) signalProcess(ref, SIGNALS.SIGKILL ?? 9);
}

/** Every pause process of this daemon's run-time directory, by sandbox id; read from /proc. */
export function findPauses(state: string): { sandboxId: string; ref: ProcessRef }[] {
  const found: { sandboxId: string; ref: ProcessRef }[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const marks = readMarks(`/proc/${name}/environ`);
    if (marks.get(MARK_STATE) !== state) continue;
    const sandboxId = marks.get(MARK_SANDBOX);
    const ticks = startTicks(Number(name));
    if (sandboxId !== undefined && ticks !== undefined) found.push({ sandboxId, ref: { pid: Number(name), startTicks: ticks } });
  }
  return found;
}

/** The cgroup that a pause process was given, cgroupfs syntax; undefined when it is gone or was not moved yet. */
export function cgroupOf({ sandboxId, ref }: { sandboxId: string; ref: ProcessRef }): string | undefined {
  try {
    const lines = readFileSync(`/proc/${ref.pid}/cgroup`, 'utf8').split('\n'); // 4:memory:/PARENT/berth-ID
    return lines.map((line) => line.split(':').slice(2).join(':')).find((path) => path.includes(sandboxId));
  } catch {
    return undefined; // it ended meanwhile
  }
}

function readMarks(path: string): Map<string, string> {
  const marks = new Map<string, string>();
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return marks; // gone meanwhile, or a kernel thread
  }
  for (const pair of text.split('\0')) {
    const at = pair.indexOf('=');
    if (at > 0 && pair.startsWith('BERTH_')) marks.set(pair.slice(0, at), pair.slice(at + 1));
  }
  return marks;
}
