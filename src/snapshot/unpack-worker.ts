/**
 * The worker thread's entry: takes one task at a time from the main thread
 * and answers it. A separate file in releases too (dist/unpack-worker.js),
 * since a thread starts from a file. Whatever goes wrong is an answer; the
 * thread itself lives on.
 */
import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { errnoOf, messageOf, RuntimeError } from '../errors/index.ts';
import { plainFile, type TarSink, TarWalker } from '../tar/index.ts';
import { assembleTar } from './assemble.ts';
import { makeFixup } from './fixup.ts';
import { inflate } from './inflate.ts';
import { LayerWriter } from './layer-writer.ts';
import { removeTree } from './remove-tree.ts';
import { SplitWriter, stagedSplit } from './split.ts';
import { splitTree } from './split-tree.ts';
import { reportUnpacked, tail } from './tail.ts';
import type { PlacedFile, Task, TaskAnswer, TaskFailure, TaskMessage, TaskResults, UnpackResult } from './tasks.ts';
import { measure } from './usage.ts';
import { verifyLayer } from './verify.ts';

async function unpack(task: Task & { kind: 'unpack' }): Promise<UnpackResult> {
  using writer = new LayerWriter(task.dir);
  using split = new SplitWriter(stagedSplit(task.dir));
  const walker = new TarWalker(splitting(writer, split));
  const hash = createHash('sha256');
  let tarBytes = 0;
  for await (const chunk of inflate(tail(task.part, task.progress))) {
    hash.update(chunk);
    walker.push(chunk);
    tarBytes += chunk.length;
    reportUnpacked(task.progress, chunk.length);
  }
  walker.finish();
  split.finish();
  return { ...writer.finish(), diffId: `sha256:${hash.digest('hex')}`, tarBytes };
}

/** The blob as a file of its own: a member that no archive had. */
async function place(task: Task & { kind: 'unpack' }, { name, size }: PlacedFile): Promise<UnpackResult> {
  using writer = new LayerWriter(task.dir);
  writer.begin(plainFile(Buffer.from(name).toString('latin1'), size));
  for await (const chunk of tail(task.part, task.progress)) writer.data(chunk);
  writer.end();
  const content = writer.finish();
  const { digest, tarBytes } = splitTree(task.dir);
  return { ...content, implied: [], diffId: digest, tarBytes };
}

/** The writer, with everything that goes by recorded. */
const splitting = (writer: LayerWriter, split: SplitWriter): TarSink => ({
  begin: (member) => writer.begin(member),
  data(chunk) {
    split.content(chunk);
    writer.data(chunk);
  },
  end() {
    split.endContent();
    writer.end();
  },
  raw: (chunk) => split.raw(chunk),
});

function fixup(task: Task & { kind: 'fixup' }): TaskResults['fixup'] {
  const made = makeFixup(task.layers, task.dir);
  if (made === undefined) return undefined;
  const { digest: tarDigest, tarBytes } = splitTree(task.dir);
  return { ...made, tarDigest, tarBytes };
}

async function perform(task: Task): Promise<TaskResults[Task['kind']]> {
  switch (task.kind) {
    case 'unpack':
      return task.file === undefined ? unpack(task) : place(task, task.file);
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

parentPort?.on('message', async ({ task }: TaskMessage) => {
  let answer: TaskAnswer;
  try {
    answer = { ok: true, result: await perform(task) };
  } catch (error) {
    answer = { ok: false, failure: failureOf(error) };
  }
  parentPort?.postMessage(answer);
});
