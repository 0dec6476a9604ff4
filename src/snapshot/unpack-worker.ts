/**
 * The worker thread's entry: takes one task at a time from the main thread
 * and answers it. A separate file in releases too (dist/unpack-worker.js),
 * since a thread starts from a file. Whatever goes wrong is an answer; the
 * thread itself lives on.
 */
import { parentPort } from 'node:worker_threads';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';
import { makeFixup } from './fixup.ts';
import { removeTree } from './remove-tree.ts';
import { Tail } from './tail.ts';
import type { Task, TaskAnswer, TaskFailure, TaskMessage, TaskResults } from './tasks.ts';
import { unpackStream } from './unpack-stream.ts';
import { measure } from './usage.ts';

function perform(task: Task): TaskResults[Task['kind']] {
  switch (task.kind) {
    case 'unpack':
      return unpackStream(new Tail(task.part, task.progress), task.dir);
    case 'fixup':
      return makeFixup(task.layers, task.dir);
    case 'usage':
      return measure(task.dir);
    case 'remove':
      removeTree(task.path);
      return undefined;
  }
}

function failureOf(error: unknown): TaskFailure {
  const code = errnoOf(error);
  return {
    message: messageOf(error),
    ...(code === undefined ? {} : { code }),
    ...(error instanceof RuntimeError ? { runtime: { kind: error.kind, reason: error.reason } } : {}),
  };
}

parentPort?.on('message', ({ task }: TaskMessage) => {
  let answer: TaskAnswer;
  try {
    answer = { ok: true, result: perform(task) };
  } catch (error) {
    answer = { ok: false, failure: failureOf(error) };
  }
  parentPort?.postMessage(answer);
});
