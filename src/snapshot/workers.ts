/**
 * The threads that tasks run on. Three crews of the same worker: a few that
 * unpack, one that reads whole layers, and one for the small jobs, so that
 * counting a container's files never waits behind a long pull. A thread starts when there is work, takes
 * one task at a time and ends when it was idle for a while: an idle daemon
 * has none.
 */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { Limiter } from '../async/index.ts';
import { RuntimeError } from '../errors/index.ts';
import { returnFreedMemory } from '../sys/index.ts';
import type { Task, TaskAnswer, TaskFailure, TaskMessage, TaskResults } from './tasks.ts';

/** The worker's file: its source, or its bundle beside ours (hack/build makes it under this name). */
const WORKER_FILES = ['./unpack-worker.ts', './unpack-worker.js'] as const;
/** Unpacking threads: more than this only compete for the disk. */
const UNPACKERS_LIMIT = 3;
/** A thread costs 10 MB: long enough to serve the layers of one pull, short enough to be gone after it. */
const IDLE_MS = 10_000;

interface Crew {
  readonly limiter: Limiter;
  readonly idle: Set<Thread>;
}

interface Thread {
  readonly worker: Worker;
  timer: NodeJS.Timeout | undefined;
}

const unpackers: Crew = { limiter: new Limiter(Math.min(availableParallelism(), UNPACKERS_LIMIT)), idle: new Set() };
/** Reads whole layers: neither pulls nor counting wait for it. */
const reader: Crew = { limiter: new Limiter(1), idle: new Set() };
const keeper: Crew = { limiter: new Limiter(1), idle: new Set() };

const CREWS: Readonly<Partial<Record<Task['kind'], Crew>>> = { unpack: unpackers, verify: reader, assemble: reader };

/** Runs one task; rejects with a RuntimeError of the worker's, or an Error that carries the errno as `code`. */
export async function runTask<T extends Task>(task: T, signal?: AbortSignal): Promise<TaskResults[T['kind']]> {
  const crew = CREWS[task.kind] ?? keeper;
  return crew.limiter.run(() => onThread(crew, task), signal);
}

async function onThread<T extends Task>(crew: Crew, task: T): Promise<TaskResults[T['kind']]> {
  const thread = hire(crew);
  const { promise, resolve, reject } = Promise.withResolvers<TaskAnswer>();
  const onExit = (): void => reject(new RuntimeError('internal', 'INTERNAL', `the thread of a ${task.kind} task ended unexpectedly`));
  thread.worker.once('message', resolve).once('error', reject).once('exit', onExit);
  thread.worker.ref();
  thread.worker.postMessage({ task } satisfies TaskMessage);
  let answer: TaskAnswer;
  try {
    answer = await promise;
  } finally {
    thread.worker.off('message', resolve).off('error', reject).off('exit', onExit);
    thread.worker.unref();
  }
  rest(crew, thread); // only a thread that answered is used again
  if (!answer.ok) throw errorOf(answer.failure);
  return answer.result as TaskResults[T['kind']]; // the worker answers with the task's own kind
}

function hire(crew: Crew): Thread {
  const [idle] = crew.idle;
  if (idle === undefined) return start(crew);
  crew.idle.delete(idle);
  clearTimeout(idle.timer);
  return idle;
}

function start(crew: Crew): Thread {
  const file = WORKER_FILES.map((name) => new URL(name, import.meta.url)).find((url) => existsSync(url));
  if (file === undefined)
    throw new RuntimeError('internal', 'INTERNAL', `the worker ${WORKER_FILES.join(' or ')} is not beside ${import.meta.url}`);
  // Descriptors of the worker are opened and closed by system calls of its own: Node must not count them.
  const thread: Thread = { worker: new Worker(file, { trackUnmanagedFds: false }), timer: undefined };
  const forget = (): boolean => crew.idle.delete(thread); // a thread that dies while idle is no loss
  thread.worker.on('error', forget).on('exit', forget);
  return thread;
}

function rest(crew: Crew, thread: Thread): void {
  crew.idle.add(thread);
  thread.timer = setTimeout(() => {
    crew.idle.delete(thread);
    void thread.worker.terminate().then(returnFreedMemory);
  }, IDLE_MS).unref();
}

function errorOf(failure: TaskFailure): Error {
  if (failure.runtime !== undefined) return new RuntimeError(failure.runtime.kind, failure.runtime.reason, failure.message);
  const error = new Error(failure.message);
  return failure.code === undefined ? error : Object.assign(error, { code: failure.code });
}
