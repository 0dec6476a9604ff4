/**
 * The OCI runtimes of this host behind one port: creation through a monitor,
 * start, signals, exec, the end. What is known of a container in memory is its
 * two processes; everything else is the runtime's state, the monitor's files
 * and the kernel, so a restarted daemon needs only adopt().
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { abortError } from '../async/index.ts';
import type { HandlerConfig } from '../config/index.ts';
import { messageOf, RuntimeError } from '../errors/index.ts';
import type { Logger } from '../log/index.ts';
import { becomeSubreaper, type ExitWaiter, nowNs, type ProcessRef, signalProcess, startTicks } from '../sys/index.ts';
import { execSync } from './exec.ts';
import { Exits } from './exits.ts';
import { call, type Handler, type RuntimeCgroupDriver, saidBy, stateDirectory, succeeded } from './handler.ts';
import { findMonitors, startMonitor } from './monitor.ts';
import { type Probed, probe } from './probe.ts';
import { release } from './release.ts';
import { reopenLog } from './reopen.ts';
import type { AdoptRequest, ContainerExited, CreateRequest, ExecRequest, HandlerInfo, OciRuntime } from './types.ts';
import { explain, saysNoProcess } from './words.ts';

/** How long start, kill and update may take: 40 ms in health, and a loaded node is forgiven a lot. */
const CALL_TIMEOUT_MS = 60_000;

/** Pause between two probes of a host on which nothing works: one takes a tenth of a second. */
const REPROBE_MS = 5_000;

/** What the runtimes are made with. */
export interface OciRuntimeOptions {
  /** In order of preference. */
  handlers: readonly HandlerConfig[];
  /** '' is the first usable handler. */
  defaultHandler: string;
  /** Name or absolute path of conmon. */
  conmon: string;
  /** Where monitors write exit codes, e.g. /run/berth/exits; identifies our monitors too. */
  exitDir: string;
  /** Parent of the runtimes' state, one directory a handler, e.g. /run/berth/oci. */
  runtimeRoot: string;
  /** Where throw-away containers are made; on a file system that allows execution (/run often does not). */
  probeDir: string;
  cgroupDriver: RuntimeCgroupDriver;
  /** Puts a monitor into CreateRequest.monitorCgroup before it works. */
  joinCgroup: (cgroup: string, pid: number) => void;
  waiter: ExitWaiter;
  logger: Logger;
}

/** Probes every handler, side by side, and returns the port. Makes this process a subreaper, which exec and exits rest on. */
export async function createOciRuntime(options: OciRuntimeOptions): Promise<OciRuntime> {
  becomeSubreaper();
  const probed = await probeAll(options);
  for (const { info } of probed) {
    if (!info.usable) options.logger.warn({ handler: info.name, path: info.path, problem: info.problem }, 'OCI runtime does not work here');
  }
  return new ProbedRuntime(options, probed);
}

const probeAll = (options: OciRuntimeOptions): Promise<Probed[]> => Promise.all(options.handlers.map((handler) => probe(handler, options)));

interface Processes {
  init: ProcessRef;
  monitor: ProcessRef;
}

class ProbedRuntime implements OciRuntime {
  handlers: readonly HandlerInfo[] = [];
  readonly #options: OciRuntimeOptions;
  readonly #callable = new Map<string, Handler>();
  readonly #processes = new Map<string, Processes>();
  /** Containers whose monitor known() saw. */
  readonly #strays = new Set<string>();
  readonly #exits: Exits;
  #nextProbe: NodeJS.Timeout | undefined;
  #closed = false;
  #listener: ((exited: ContainerExited) => void) | undefined;

  constructor(options: OciRuntimeOptions, probed: readonly Probed[]) {
    this.#options = options;
    this.#take(probed);
    const { exitDir, waiter, logger } = options;
    this.#exits = new Exits({ exitDir, waiter, logger, onExit: (exited) => this.#listener?.(exited) });
  }

  resolve(name: string): HandlerInfo {
    const wanted = name === '' ? this.#options.defaultHandler : name;
    if (wanted === '') {
      const first = this.handlers.find((handler) => handler.usable);
      if (first !== undefined) return first;
      const problems = this.handlers.map((handler) => `${handler.name}: ${handler.problem}`).join('; ') || 'none is configured';
      throw unusable(`no OCI runtime can run a container on this host (${problems})`);
    }
    const handler = this.handlers.find((candidate) => candidate.name === wanted);
    if (handler === undefined) throw this.#unknown(wanted);
    if (!handler.usable) throw unusable(`the OCI runtime ${wanted} cannot run a container on this host (${handler.problem})`);
    return handler;
  }

  async create(request: CreateRequest, signal: AbortSignal): Promise<Processes> {
    const handler = this.#handler(request.handler);
    this.#exits.clean(request.id);
    const plan = {
      conmon: this.#options.conmon,
      handler,
      exitDir: this.#options.exitDir,
      request,
      place: (pid: number) => request.monitorCgroup !== '' && this.#options.joinCgroup(request.monitorCgroup, pid),
    };
    await using undo = new AsyncDisposableStack();
    undo.defer(() => this.delete(request.id, request.handler));
    const { child, answer } = await startMonitor(plan);
    if ('log' in answer) throw createError(handler, answer.log, programOf(request.bundleDir));
    const processes = { init: refer(answer.pid), monitor: refer(child.pid) };
    this.#processes.set(request.id, processes);
    this.#exits.watch({ id: request.id, bundleDir: request.bundleDir, ...processes });
    if (signal.aborted) throw abortError(signal); // undone as a whole
    undo.move();
    return processes;
  }

  async start(id: string, handlerName: string, signal: AbortSignal): Promise<void> {
    const handler = this.#handler(handlerName);
    this.#exits.started(id, nowNs());
    const result = await call(handler, { args: ['start', id], timeoutMs: CALL_TIMEOUT_MS, signal });
    if (succeeded(result)) return;
    const { words, advice } = explain(saidBy(result), '');
    throw new RuntimeError('internal', 'START_FAILED', `${handler.name} could not start the container: ${words}; ${advice}`);
  }

  async kill(id: string, handlerName: string, signalNumber: number, options: { all?: boolean } = {}): Promise<void> {
    const init = this.#processes.get(id)?.init;
    if (init !== undefined && options.all !== true) {
      signalProcess(init, signalNumber);
      return;
    }
    const handler = this.#handler(handlerName);
    if (!existsSync(stateDirectory(handler, id))) return;
    const all = options.all === true ? ['--all'] : [];
    const result = await call(handler, { args: ['kill', ...all, id, String(signalNumber)], timeoutMs: CALL_TIMEOUT_MS });
    if (succeeded(result) || saysNoProcess(saidBy(result))) return;
    const { words, advice } = explain(saidBy(result), '');
    throw new RuntimeError('internal', 'PROGRAM_FAILED', `${handler.name} could not signal the container: ${words}; ${advice}`);
  }

  async delete(id: string, handlerName: string): Promise<void> {
    const handler = this.#handler(handlerName);
    const known = this.#processes.get(id);
    this.#exits.forget(id);
    const monitor = known?.monitor ?? this.#strayMonitor(handler, id);
    await release({ handler, id, ...(known === undefined ? {} : { init: known.init }), ...(monitor === undefined ? {} : { monitor }) });
    this.#processes.delete(id);
    this.#exits.clean(id);
  }

  execSync(request: ExecRequest, signal: AbortSignal): Promise<{ exitCode: number; stdout: Uint8Array; stderr: Uint8Array }> {
    return execSync(this.#handler(request.handler), request, signal);
  }

  async update(id: string, handlerName: string, resources: Record<string, unknown>): Promise<void> {
    const handler = this.#handler(handlerName);
    const input = JSON.stringify(resources);
    const result = await call(handler, { args: ['update', '--resources', '-', id], timeoutMs: CALL_TIMEOUT_MS, input });
    if (succeeded(result)) return;
    const { words, advice } = explain(saidBy(result), '');
    throw new RuntimeError('internal', 'CGROUP_FAILED', `${handler.name} could not change the container’s limits: ${words}; ${advice}`);
  }

  async reopenLog(id: string, bundleDir: string, logPath: string): Promise<void> {
    const monitor = this.#processes.get(id)?.monitor;
    if (monitor === undefined || startTicks(monitor.pid) !== monitor.startTicks) {
      throw new RuntimeError(
        'precondition',
        'LOG_FAILED',
        `reopening the log ${logPath} failed: the container has no monitor any more; it is not running`,
      );
    }
    await reopenLog(monitor.pid, bundleDir, logPath);
  }

  async wasStarted(id: string, handlerName: string): Promise<boolean> {
    const handler = this.#handler(handlerName);
    if (!existsSync(stateDirectory(handler, id))) return false;
    const result = await call(handler, { args: ['state', id], timeoutMs: CALL_TIMEOUT_MS });
    if (!succeeded(result)) return false; // deleted in the meantime
    // One that stopped counts as started: nothing but a start lets a container of ours end by itself.
    return !/"status":\s*"creat(?:ed|ing)"/.test(result.stdout.toString());
  }

  adopt(request: AdoptRequest): void {
    const { id, bundleDir, init, monitor } = request;
    this.#processes.set(id, { init, monitor });
    this.#exits.watch({ id, bundleDir, init, monitor });
  }

  onExit(listener: (exited: ContainerExited) => void): void {
    this.#listener = listener;
  }

  async known(): Promise<{ id: string; handler: string }[]> {
    const found = new Map<string, { id: string; handler: string }>();
    const add = (id: string, handler: string): unknown => found.set(`${handler}/${id}`, { id, handler });
    const monitors = findMonitors(this.#options.exitDir);
    for (const handler of this.#callable.values()) {
      for (const id of directoriesIn(handler.root)) add(id, handler.name);
      for (const monitor of monitors) if (monitor.handlerRoot === handler.root) add(monitor.id, handler.name);
    }
    for (const { id } of monitors) if (!this.#processes.has(id)) this.#strays.add(id);
    return [...found.values()];
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#nextProbe);
    this.#exits[Symbol.dispose]();
  }

  /** While nothing works the host is probed again: a full disk is freed, a package is installed. */
  #take(probed: readonly Probed[]): void {
    this.handlers = probed.map(({ info }) => info);
    for (const { handler } of probed) if (handler !== undefined) this.#callable.set(handler.name, handler);
    for (const { name, path, version, usable } of this.handlers) {
      if (usable) this.#options.logger.info({ handler: name, path, version }, 'OCI runtime works');
    }
    if (this.#closed || this.handlers.some(({ usable }) => usable)) return;
    this.#nextProbe = setTimeout(() => {
      void probeAll(this.#options).then((again) => this.#take(again));
    }, REPROBE_MS).unref();
  }

  #handler(name: string): Handler {
    const handler = this.#callable.get(name);
    if (handler === undefined) throw this.#unknown(name);
    return handler;
  }

  #unknown(name: string): RuntimeError {
    const names = this.handlers.map((handler) => handler.name).join(', ') || 'none';
    const message = `the runtime handler ${JSON.stringify(name)} is not configured on this node; use one of: ${names}`;
    return new RuntimeError('invalid', 'UNKNOWN_RUNTIME_HANDLER', message);
  }

  /** The monitor of a container nobody created or adopted here. Looking at all of /proc is for real remains only. */
  #strayMonitor(handler: Handler, id: string): ProcessRef | undefined {
    if (!this.#strays.delete(id) && !existsSync(stateDirectory(handler, id))) return undefined;
    const pid = findMonitors(this.#options.exitDir).find((monitor) => monitor.id === id)?.pid;
    const ticks = pid === undefined ? undefined : startTicks(pid);
    return pid === undefined || ticks === undefined ? undefined : { pid, startTicks: ticks };
  }
}

const unusable = (what: string): RuntimeError =>
  new RuntimeError('precondition', 'NO_USABLE_RUNTIME', `${what}; run \`berth doctor\` and install crun or runc`);

/** A process that has just been told of. One that ended already gets a reference that no process can match. */
const refer = (pid: number): ProcessRef => ({ pid, startTicks: startTicks(pid) ?? -1n });

function createError(handler: Handler, log: string, program: string): RuntimeError {
  const { blame, words, advice } = explain(log, program);
  if (blame === 'program') {
    return new RuntimeError('invalid', 'START_FAILED', `starting ${JSON.stringify(program)} failed: ${words}; ${advice}`);
  }
  return new RuntimeError('internal', 'CREATE_FAILED', `${handler.name} could not create the container: ${words}; ${advice}`);
}

/** The command of the bundle's config.json, for messages; '' when it cannot be read. */
function programOf(bundleDir: string): string {
  try {
    const config = JSON.parse(readFileSync(join(bundleDir, 'config.json'), 'utf8')) as { process?: { args?: unknown[] } };
    return String(config.process?.args?.[0] ?? '');
  } catch (error) {
    return `(unreadable config.json: ${messageOf(error)})`;
  }
}

function directoriesIn(root: string): string[] {
  if (!existsSync(root)) return [];
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}
