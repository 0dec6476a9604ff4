/**
 * The worker thread's entry: takes one task at a time from the main thread
 * and answers it. A separate file in releases too (dist/unpack-worker.js),
 * since a thread starts from a file. Whatever goes wrong is an answer; the
 * thread itself lives on.
 */
import { parentPort } from 'node:worker_threads';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';
import { assembleTar } from './assemble.ts';
import { makeFixup } from './fixup.ts';
import { removeTree } from './remove-tree.ts';
import { splitTree } from './split-tree.ts';
import { Tail } from './tail.ts';
import type { Task, TaskAnswer, TaskFailure, TaskMessage, TaskResults, UnpackResult } from './tasks.ts';
import { placeFile, unpackStream } from './unpack-stream.ts';
import { measure } from './usage.ts';
import { verifyLayer } from './verify.ts';

function unpack({ part, progress, dir, file }: Task & { kind: 'unpack' }): UnpackResult {
  const tail = new Tail(part, progress);
  return file === undefined ? unpackStream(tail, dir) : placeFile(tail, dir, file);
}

function fixup(task: Task & { kind: 'fixup' }): TaskResults['fixup'] {
  const made = makeFixup(task.layers, task.dir);
  if (made === undefined) return undefined;
  const { digest: tarDigest, tarBytes } = splitTree(task.dir);
  return { ...made, tarDigest, tarBytes };
}

function perform(task: Task): TaskResults[Task['kind']] {
  switch (task.kind) {
    case 'unpack':
      return unpack(task);
    case 'fixup':
      return fixup(task);
    case 'verify':
      return verifyLayer(task);
    case 'assemble':
      assembleTar(task);
      return undefined;
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
