/**
 * The worker thread's entry: takes one task at a time from the main thread
 * and answers it. A separate file in releases too (dist/unpack-worker.js),
 * since a thread starts from a file. Whatever goes wrong is an answer; the
 * thread itself lives on.
 */
import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';
import { TarWalker } from '../tar/index.ts';
import { makeFixup } from './fixup.ts';
import { inflate } from './inflate.ts';
import { LayerWriter } from './layer-writer.ts';
import { removeTree } from './remove-tree.ts';
import { reportUnpacked, tail } from './tail.ts';
import type { Task, TaskAnswer, TaskFailure, TaskMessage, TaskResults, UnpackResult } from './tasks.ts';
import { measure } from './usage.ts';

async function unpack(task: Task & { kind: 'unpack' }): Promise<UnpackResult> {
  using writer = new LayerWriter(task.dir);
  const walker = new TarWalker(writer);
  const hash = createHash('sha256');
  for await (const chunk of inflate(tail(task.part, task.progress))) {
    hash.update(chunk);
    walker.push(chunk);
    reportUnpacked(task.progress, chunk.length);
  }
  walker.finish();
  return { ...writer.finish(), diffId: `sha256:${hash.digest('hex')}` };
}

async function perform(task: Task): Promise<TaskResults[Task['kind']]> {
  switch (task.kind) {
    case 'unpack':
      return unpack(task);
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

parentPort?.on('message', async ({ task }: TaskMessage) => {
  let answer: TaskAnswer;
  try {
    answer = { ok: true, result: await perform(task) };
  } catch (error) {
    answer = { ok: false, failure: failureOf(error) };
  }
  parentPort?.postMessage(answer);
});
