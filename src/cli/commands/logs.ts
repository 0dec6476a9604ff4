/** `berth logs`: the container's log file, read on the node, joined into the lines it wrote. */
import { RuntimeError } from '../../errors/index.ts';
import { cri, runtimeService } from '../../gen/index.ts';
import type { Client } from '../client.ts';
import type { Invocation, Terminal } from '../command.ts';
import { connect } from '../connect.ts';
import { CallError } from '../failure.ts';
import { readLog } from '../logs/file.ts';
import { LineJoiner, type LogLine, parseLogEntry } from '../logs/line.ts';
import { findContainer } from '../lookup.ts';
import { parseDuration } from '../units.ts';

/** What of a log to print. */
export interface LogWishes {
  readonly follow: boolean;
  readonly tail?: number | undefined;
  /** Milliseconds since the epoch; older lines are left out. */
  readonly sinceMs?: number | undefined;
  readonly timestamps: boolean;
}

/** Asking the daemon whether the container ended costs it a call; once a second is prompt enough. */
const STATE_POLL_MS = 1000;

export async function run({ args, flags, terminal }: Invocation): Promise<number> {
  using client = connect({ flags, terminal });
  const container = await findContainer(client, args[0] ?? '');
  const tail = flags.text('tail');
  const since = flags.text('since');
  await printLog(
    { client, terminal, containerId: container.id },
    {
      follow: flags.on('follow'),
      tail: tail === undefined ? undefined : Number(tail),
      sinceMs: since === undefined ? undefined : Date.now() - 1000 * (parseDuration(since) ?? 0),
      timestamps: flags.on('timestamps'),
    },
  );
  return 0;
}

/** Whose log, and where to print it. */
export interface LogTarget {
  readonly client: Client;
  readonly terminal: Terminal;
  readonly containerId: string;
}

/** Prints a container's log; with `follow` returns when the container has ended. */
export async function printLog({ client, terminal, containerId }: LogTarget, wishes: LogWishes): Promise<void> {
  const { status } = await client.call(runtimeService.ContainerStatus, { containerId });
  const path = status?.logPath ?? '';
  if (path === '') {
    throw new RuntimeError(
      'not-found',
      'LOG_FAILED',
      `container ${status?.metadata?.name} keeps no log: its pod was made without a log directory`,
    );
  }
  const stop = new AbortController();
  const ended = wishes.follow ? endedQuery({ client, containerId }) : undefined;
  const joiner = new LineJoiner();
  for await (const raw of readLog({ path, tail: wishes.tail, ended, signal: stop.signal })) {
    const entry = parseLogEntry(raw);
    if (entry === undefined) terminal.out(Buffer.concat([raw, Buffer.from('\n')]));
    else printLine({ terminal, wishes }, joiner.push(entry));
  }
  for (const line of joiner.rest()) printLine({ terminal, wishes }, line);
}

function printLine({ terminal, wishes }: { terminal: Terminal; wishes: LogWishes }, line: LogLine | undefined): void {
  if (line === undefined || (wishes.sinceMs !== undefined && Date.parse(line.time) < wishes.sinceMs)) return;
  const time = wishes.timestamps ? `${line.time} ` : '';
  const text = Buffer.concat([Buffer.from(time), line.content, Buffer.from('\n')]);
  if (line.stream === 'stderr') terminal.err(text);
  else terminal.out(text);
}

/** Has the container ended? Answers from the last question for a second. */
function endedQuery({ client, containerId }: Pick<LogTarget, 'client' | 'containerId'>): () => Promise<boolean> {
  let askedAtMs = 0;
  return async () => {
    if (Date.now() - askedAtMs < STATE_POLL_MS) return false;
    askedAtMs = Date.now();
    try {
      const { status } = await client.call(runtimeService.ContainerStatus, { containerId });
      return status?.state === cri.ContainerState.CONTAINER_EXITED;
    } catch (error) {
      if (error instanceof CallError && error.status === 'NOT_FOUND') return true; // removed
      throw error;
    }
  };
}
