/**
 * A command in a running container, without a monitor: the OCI runtime starts
 * it detached and ends, and the command, an orphan then, becomes our child
 * because we are a subreaper. So its exit status is the kernel's own, its
 * output comes through pipes without a copier between (runc's would wait for
 * every background child that keeps stdout), and what the runtime complains of
 * is in a log of its own, never mixed up with the command's output or codes.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { abortable, inOwnTurn, withDeadline } from '../async/index.ts';
import { RuntimeError } from '../errors/index.ts';
import { awaitExit, type Child, holdAdopted, SIGNALS, spawn } from '../sys/index.ts';
import { globalArguments, type Handler } from './handler.ts';
import { killMarked, newMark, withMark } from './marked.ts';
import { exitCodeOf } from './status.ts';
import type { ExecRequest } from './types.ts';
import { explain } from './words.ts';

/** How long the runtime may take to start the command when the caller sets no limit: 20 ms in health. */
const LAUNCH_TIMEOUT_MS = 60_000;
/** After the end, turns of the loop without new output until the pipes count as read. */
const QUIET_TURNS = 3;
/** A child that writes without end cannot hold the call longer than this many turns. */
const DRAIN_TURNS = 64;

/** What the command did. */
export interface ExecOutcome {
  exitCode: number;
  stdout: Uint8Array;
  stderr: Uint8Array;
}

/**
 * Runs the command to its end. Throws EXEC_TIMEOUT (kind deadline) or the
 * signal's error, when it and everything it started have been killed;
 * EXEC_FAILED when it could not be started.
 */
export async function execSync(handler: Handler, request: ExecRequest, signal: AbortSignal): Promise<ExecOutcome> {
  const program = programOf(request.process);
  const limitMs = request.timeoutMs > 0 ? request.timeoutMs : undefined;
  const mark = newMark();
  const directory = join(request.bundleDir, `exec-${randomBytes(8).toString('hex')}`);
  using cleanUp = new DisposableStack();
  cleanUp.defer(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(directory, { mode: 0o700 });
  writeFileSync(join(directory, 'process.json'), JSON.stringify(withMark(request.process, mark)), { mode: 0o600 });

  using launchDeadline = withDeadline(limitMs ?? LAUNCH_TIMEOUT_MS, () => timedOut(program, limitMs ?? LAUNCH_TIMEOUT_MS), signal);
  // A command that runs has the caller's limit only, counted from the same moment.
  const running = limitMs === undefined ? signal : launchDeadline.signal;
  using unclaimed = holdAdopted();
  const child = await inOwnTurn(() => spawn({ argv: execCommand(handler, request.id, directory), stdout: 'pipe', stderr: 'pipe' }));
  const stdout = new Output(child.stdout, request.streamLimitBytes);
  const stderr = new Output(child.stderr, request.streamLimitBytes);
  cleanUp.defer(() => [stdout, stderr].map((output) => output.close()));
  try {
    const pid = await launched(child, { directory, program, signal: launchDeadline.signal });
    const exit = awaitExit(pid);
    unclaimed[Symbol.dispose]();
    const exitCode = exitCodeOf(await abortable(exit, running));
    if (exitCode === undefined) throw failed('internal', program, 'its exit code was lost', 'report it');
    await settle([stdout, stderr]);
    return { exitCode, stdout: stdout.bytes(), stderr: stderr.bytes() };
  } catch (error) {
    child.kill(SIGNALS.SIGKILL ?? 9);
    await child.exited; // it marks no further process then
    await killMarked(mark);
    throw error;
  }
}

function execCommand(handler: Handler, id: string, directory: string): string[] {
  const files = [`--pid-file=${join(directory, 'pid')}`, `--process=${join(directory, 'process.json')}`];
  return [handler.path, ...globalArguments(handler), `--log=${join(directory, 'log')}`, 'exec', '--detach', ...files, id];
}

/** Waits for the runtime's end; returns the command's pid. */
async function launched(
  child: Child,
  { directory, program, signal }: { directory: string; program: string; signal: AbortSignal },
): Promise<number> {
  const status = await abortable(child.exited, signal);
  const pid = Number.parseInt(textOf(join(directory, 'pid')), 10);
  if (status.code === 0 && pid > 0) return pid;
  const failure = explain(textOf(join(directory, 'log')), program);
  throw failed(failure.blame === 'program' ? 'invalid' : 'internal', program, failure.words, failure.advice);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // the runtime did not get as far as to write it
  }
}

function failed(kind: 'invalid' | 'internal', program: string, words: string, advice: string): RuntimeError {
  return new RuntimeError(kind, 'EXEC_FAILED', `running ${JSON.stringify(program)} in the container failed: ${words}; ${advice}`);
}

function timedOut(program: string, limitMs: number): RuntimeError {
  const message = `the command ${JSON.stringify(program)} ran longer than its timeout of ${limitMs / 1000} s and was killed with its children; raise the timeout or look at why it hangs`;
  return new RuntimeError('deadline', 'EXEC_TIMEOUT', message);
}

function programOf(process: Readonly<Record<string, unknown>>): string {
  return Array.isArray(process.args) && typeof process.args[0] === 'string' ? process.args[0] : '';
}

/** Reads what the pipes hold; children of the command that keep them open are not waited for. */
async function settle(outputs: readonly Output[]): Promise<void> {
  let quiet = 0;
  let seen = -1;
  for (let turn = 0; turn < DRAIN_TURNS && quiet < QUIET_TURNS; turn += 1) {
    if (outputs.every((output) => output.ended)) return;
    await nextTurn();
    const total = outputs.reduce((sum, output) => sum + output.received, 0);
    quiet = total === seen ? quiet + 1 : 0;
    seen = total;
  }
}

/** One stream, kept up to a limit and read to its end. */
class Output {
  received = 0;
  ended = false;
  readonly #stream: Readable | undefined;
  readonly #limit: number;
  readonly #chunks: Buffer[] = [];
  #kept = 0;

  constructor(stream: Readable | undefined, limit: number) {
    this.#stream = stream;
    this.#limit = limit;
    stream?.on('data', (chunk: Buffer) => this.#keep(chunk));
    stream?.on('end', () => {
      this.ended = true;
    });
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }

  close(): void {
    this.#stream?.destroy();
  }

  #keep(chunk: Buffer): void {
    this.received += chunk.length;
    const kept = chunk.subarray(0, Math.max(0, this.#limit - this.#kept));
    if (kept.length === 0) return;
    this.#chunks.push(kept);
    this.#kept += kept.length;
  }
}
