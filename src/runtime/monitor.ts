/**
 * conmon, the monitor of one container: it calls the OCI runtime's create,
 * holds the container's pipes or terminal, writes the log and, at the end, the
 * exit file. It outlives the daemon.
 *
 * Protocol (conmon.c): it waits for one byte on _OCI_STARTPIPE, so that it can
 * be put into its cgroup first, and answers with one JSON line on
 * _OCI_SYNCPIPE: {"data": pid} or {"data": -1, "message": the runtime's log}.
 * --sync keeps it our child instead of forking away, so its pid is known at once.
 */
import { readdirSync, readFileSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { abortable, inOwnTurn, withDeadline } from '../async/index.ts';
import { errnoOf, RuntimeError } from '../errors/index.ts';
import { type Child, closeFd, makePipe, SIGNALS, spawn } from '../sys/index.ts';
import { globalArguments, type Handler } from './handler.ts';
import type { CreateRequest } from './types.ts';

/** How long a creation may take: 20 ms in health; kubelet gives up after 120 s. */
const CREATE_TIMEOUT_MS = 60_000;
/** conmon's answer carries at most 8 KiB of the runtime's log, escaped. */
const ANSWER_LIMIT_BYTES = 64 * 1024;
/** What is kept of conmon's own complaints. */
const COMPLAINT_LIMIT_CHARS = 4096;
/** Turns of the loop after its end in which what it wrote before is read. */
const READ_TURNS = 3;
/** The descriptors' numbers in conmon. */
const SYNC_FD = 3;
const START_FD = 4;

/** What a monitor is started with. */
export interface MonitorPlan {
  /** Absolute path or name of conmon. */
  conmon: string;
  handler: Handler;
  exitDir: string;
  request: CreateRequest;
  /** Puts the monitor, not yet at work, where it belongs. */
  place: (pid: number) => void;
}

/** A monitor's answer: the first process's pid, or the runtime's log of the failure. */
export type MonitorAnswer = { pid: number } | { log: string };

/** A monitor at work. */
export interface Monitor {
  readonly child: Child;
  readonly answer: MonitorAnswer;
}

/** conmon's command line. */
export function monitorArguments(plan: MonitorPlan): string[] {
  const { request, handler } = plan;
  const { id, bundleDir } = request;
  return [
    plan.conmon,
    '--api-version=1',
    '--sync',
    '--full-attach', // the attach socket is BUNDLE/attach
    '--no-sync-log', // an fsync at the end of every container would delay its exit by the disk
    `--cid=${id}`,
    `--cuuid=${id}`,
    `--name=${id}`,
    `--bundle=${bundleDir}`,
    `--container-pidfile=${join(bundleDir, 'pid')}`,
    `--exit-dir=${plan.exitDir}`,
    `--log-path=${request.logPath === '' ? 'none' : `k8s-file:${request.logPath}`}`,
    `--runtime=${handler.path}`,
    ...globalArguments(handler).map((argument) => `--runtime-arg=${argument}`),
    ...(request.terminal ? ['--terminal'] : []),
    ...(request.stdin ? ['--stdin'] : []),
    ...(request.stdin && !request.stdinOnce ? ['--leave-stdin-open'] : []),
  ];
}

/**
 * Starts a monitor and waits for its answer. Throws MONITOR_FAILED when conmon
 * itself fails or does not answer in time; it is gone then, but what the
 * runtime made may be left. There is no way to give up earlier: a runtime that
 * is killed half-way leaves more behind than one that is waited for.
 */
export async function startMonitor(plan: MonitorPlan): Promise<Monitor> {
  using ends = new DisposableStack();
  const sync = makePipe();
  const syncSocket = new Socket({ fd: sync.readEnd, readable: true, writable: false });
  ends.defer(() => syncSocket.destroy());
  const childEnds = ends.use(new DisposableStack());
  childEnds.defer(() => closeFd(sync.writeEnd));
  const start = makePipe();
  childEnds.defer(() => closeFd(start.readEnd));
  ends.defer(() => closeFd(start.writeEnd));
  const child = await inOwnTurn(() =>
    spawn({
      argv: monitorArguments(plan),
      env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', _OCI_SYNCPIPE: String(SYNC_FD), _OCI_STARTPIPE: String(START_FD) },
      cwd: plan.request.bundleDir,
      stderr: 'pipe',
      extraFds: [
        { child: SYNC_FD, parent: sync.writeEnd },
        { child: START_FD, parent: start.readEnd },
      ],
    }),
  );
  childEnds.dispose(); // so that the end of conmon is the end of the pipe
  child.unref(); // it may outlive the daemon
  const complaints = collect(child);
  using deadline = withDeadline(CREATE_TIMEOUT_MS, () => failure(plan, `did not answer within ${CREATE_TIMEOUT_MS / 1000} s`));
  try {
    plan.place(child.pid);
    release(start.writeEnd);
    const line = await abortable(readLine(syncSocket), deadline.signal);
    const answer = parseAnswer(line);
    if (answer === undefined || 'log' in answer) await child.exited;
    if (answer === undefined) throw failure(plan, `ended without an answer${await complaints.text()}`);
    return { child, answer };
  } catch (error) {
    child.kill(SIGNALS.SIGKILL ?? 9);
    await child.exited;
    throw error;
  } finally {
    // conmon ignores SIGPIPE, and an open pipe of ours would be read by nobody.
    child.stderr?.destroy();
  }
}

/** Lets the monitor begin. One that has ended already (EPIPE) tells why through its answer and its complaints. */
function release(startEnd: number): void {
  try {
    writeSync(startEnd, '\0');
  } catch (error) {
    if (errnoOf(error) !== 'EPIPE') throw error;
  }
}

const failure = (plan: MonitorPlan, what: string): RuntimeError =>
  new RuntimeError('internal', 'MONITOR_FAILED', `${plan.conmon}, the monitor of the container, ${what}; check it with \`berth doctor\``);

function collect(child: Child): { text: () => Promise<string> } {
  let text = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(0, COMPLAINT_LIMIT_CHARS);
  });
  return {
    text: async () => {
      for (let turn = 0; turn < READ_TURNS; turn += 1) await nextTurn();
      // "[conmon:e]: Failed to open log file No such file or directory"
      const words = text
        .replace(/\[conmon:\w+\]:? ?/g, '')
        .trim()
        .replace(/\s*\n\s*/g, '; ');
      return words === '' ? '' : `: ${words}`;
    },
  };
}

/** Everything up to the first line feed, or to the end. */
function readLine(stream: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.includes('\n') || text.length > ANSWER_LIMIT_BYTES) resolve(text);
  });
  stream.on('end', () => resolve(text));
  stream.on('error', () => resolve(text)); // as an end: what is there is judged
  stream.on('close', () => resolve(text));
  return promise;
}

/** conmon's answer; undefined when it gave none. A line that is no JSON is taken for the log itself. */
export function parseAnswer(line: string): MonitorAnswer | undefined {
  const text = line.trim();
  if (text === '') return undefined;
  try {
    const answer = JSON.parse(text) as { data?: unknown; message?: unknown };
    if (typeof answer.data === 'number' && answer.data > 0) return { pid: answer.data };
    return { log: typeof answer.message === 'string' ? answer.message : '' };
  } catch {
    return { log: text }; // cut in the middle of an escape
  }
}

/** Every conmon on this host that writes its exits into `exitDir`: pid and container id. */
export function findMonitors(exitDir: string): { id: string; pid: number; handlerRoot: string }[] {
  const found: { id: string; pid: number; handlerRoot: string }[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const args = commandLine(name);
    if (!args.includes(`--exit-dir=${exitDir}`)) continue;
    const id = argumentAfter(args, '--cid=');
    const handlerRoot = argumentAfter(args, '--runtime-arg=--root=');
    if (id !== undefined && handlerRoot !== undefined) found.push({ id, pid: Number(name), handlerRoot });
  }
  return found;
}

const argumentAfter = (args: readonly string[], prefix: string): string | undefined =>
  args.find((argument) => argument.startsWith(prefix))?.slice(prefix.length);

function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return []; // it ended between the listing and the reading
  }
}
