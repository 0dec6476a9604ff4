/** A reader on another thread follows a file that this one writes. */
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { Tail, TailProgress } from '../../../src/snapshot/tail.ts';

/** Reads everything and posts what it got; an error's words when it threw. */
const READER = `
  import { parentPort, workerData } from 'node:worker_threads';
  const { Tail } = await import(workerData.module);
  parentPort.postMessage('ready');
  let text = '';
  try {
    for (const chunk of new Tail(workerData.path, workerData.buffer)) text += chunk.toString();
    parentPort.postMessage({ text });
  } catch (error) {
    parentPort.postMessage({ text, failure: error.message });
  }
`;

interface Reading {
  path: string;
  progress: TailProgress;
  result: Promise<{ text: string; failure?: string }>;
}

async function reading(t: Test): Promise<Reading> {
  const dir = mkdtempSync(join(tmpdir(), 'berth-tail-'));
  const path = join(dir, 'part');
  const progress = new TailProgress();
  const module = new URL('../../../src/snapshot/tail.ts', import.meta.url).href;
  const source = new URL(`data:text/javascript,${encodeURIComponent(READER)}`);
  const worker = new Worker(source, { workerData: { module, path, buffer: progress.buffer } });
  t.teardown(async () => {
    await worker.terminate();
    rmSync(dir, { recursive: true });
  });
  await once(worker, 'message');
  return { path, progress, result: once(worker, 'message').then(([message]) => message) };
}

t.test('every byte comes, in order, and none before it is announced', async (t) => {
  const { path, progress, result } = await reading(t);
  writeFileSync(path, '');
  let text = '';
  for (let part = 0; part < 200; part += 1) {
    const piece = `part ${part};`.repeat(1 + (part % 7));
    appendFileSync(path, piece);
    text += piece;
    progress.advance(text.length);
    if (part % 10 === 0) await pause(1);
  }
  appendFileSync(path, 'never announced');
  progress.complete();
  t.same(await result, { text });
});

t.test('a file that is given up ends its reader, also one that waits', async (t) => {
  const { path, progress, result } = await reading(t);
  writeFileSync(path, 'begun');
  progress.advance(5);
  await pause(20);
  progress.abandon();
  t.same(await result, { text: 'begun', failure: 'the download was given up' });
});

t.test('a file that shrinks under its reader counts as given up', async (t) => {
  const { path, progress, result } = await reading(t);
  writeFileSync(path, 'short');
  progress.advance(50);
  t.same(await result, { text: 'short', failure: 'the download was given up' });
});

t.test('the size is known when it is announced, and for certain at the end', async (t) => {
  const [plain, announced] = [new TailProgress(), new TailProgress(70)];
  t.equal(new Tail('none', plain.buffer).totalBytes, undefined);
  t.equal(new Tail('none', announced.buffer).totalBytes, 70);
  announced.advance(60);
  announced.complete();
  t.equal(new Tail('none', announced.buffer).totalBytes, 60);
  t.same(
    [
      ...new Tail(
        'none',
        (() => {
          plain.complete();
          return plain.buffer;
        })(),
      ),
    ],
    [],
    'an empty file need not exist',
  );
  const wanted = new Tail('none', plain.buffer);
  wanted.assertWanted();
  plain.abandon();
  t.throws(() => wanted.assertWanted(), { name: 'AbandonedError' });
});
