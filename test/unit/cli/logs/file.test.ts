// Reading a log while it is written, rotated and ended; on real files.
import { appendFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type ReadLogOptions, readLog } from '../../../../src/cli/logs/file.ts';

const line = (text: string, tag = 'F'): string => `2026-01-02T03:04:05Z stdout ${tag} ${text}\n`;

async function texts(options: Partial<ReadLogOptions> & { path: string }): Promise<string[]> {
  const found: string[] = [];
  for await (const raw of readLog({ signal: new AbortController().signal, ...options }))
    found.push(raw.toString().replace(/^\S+ stdout \S+ ?/, ''));
  return found;
}

function logFile(t: Test, content: string): string {
  const path = join(t.testdir(), '0.log');
  writeFileSync(path, content);
  return path;
}

t.test('a whole file, with a torn last line', async (t) => {
  const path = logFile(t, `${line('a')}${line('b')}2026-01-02T03:04:05Z stdout F to`);
  t.same(await texts({ path }), ['a', 'b', 'to']);
  t.same(await texts({ path: logFile(t, '') }), []);
});

t.test('lines longer than a read chunk come whole', async (t) => {
  const long = 'x'.repeat(200_000);
  t.same(await texts({ path: logFile(t, line('a') + line(long) + line('b')) }), ['a', long, 'b']);
});

t.test('the last lines count whole ones, with all their pieces', async (t) => {
  const path = logFile(t, line('one') + line('tw', 'P') + line('o') + line('thr', 'P') + line('e', 'P') + line('e'));
  t.same(await texts({ path, tail: 0 }), []);
  t.same(await texts({ path, tail: 1 }), ['thr', 'e', 'e']);
  t.same(await texts({ path, tail: 2 }), ['tw', 'o', 'thr', 'e', 'e']);
  t.same(await texts({ path, tail: 3 }), ['one', 'tw', 'o', 'thr', 'e', 'e']);
  t.same(await texts({ path, tail: 99 }), ['one', 'tw', 'o', 'thr', 'e', 'e']);
  t.same(await texts({ path: logFile(t, ''), tail: 3 }), []);
});

t.test('the last lines when the first line is whole and one too many, across chunks', async (t) => {
  const many = Array.from({ length: 5000 }, (_, at) => `${at} ${'y'.repeat(50)}`);
  const path = logFile(t, many.map((text) => line(text)).join(''));
  for (const tail of [1, 700, 1500, 4999, 5000, 5001]) t.same(await texts({ path, tail }), many.slice(-tail), String(tail));
});

t.test('follows what is appended, through rotation, until the container ended', async (t) => {
  const path = logFile(t, line('a'));
  // Each question of the reader, which has then read everything, is one step of the story.
  const steps = [
    () => appendFileSync(path, line('b')),
    () => appendFileSync(path, '2026-01-02T03:04:05Z stdout F tor'),
    () => appendFileSync(path, 'n\n'),
    () => {
      renameSync(path, `${path}.1`);
      appendFileSync(`${path}.1`, line('late'));
    },
    () => writeFileSync(path, line('new file')),
    () => appendFileSync(path, line('last')),
  ];
  const ended = async (): Promise<boolean> => {
    const step = steps.shift();
    step?.();
    return steps.length === 0;
  };
  t.same(await texts({ path, ended }), ['a', 'b', 'torn', 'late', 'new file', 'last']);
});

t.test('a file truncated in place is read from its start', async (t) => {
  const path = logFile(t, line('a') + line('b'));
  let asked = 0;
  const ended = async (): Promise<boolean> => {
    asked += 1;
    if (asked === 1) truncateSync(path, 0);
    if (asked === 2) appendFileSync(path, line('c'));
    return asked === 3;
  };
  t.same(await texts({ path, ended }), ['a', 'b', 'c']);
});

t.test('a log that is not there is told with its path', async (t) => {
  const path = join(t.testdir(), 'none.log');
  await t.rejects(texts({ path }), { reason: 'LOG_FAILED', message: /none\.log cannot be opened: ENOENT/ });
});

t.test('an abort ends the wait', async (t) => {
  const stop = new AbortController();
  const ended = async (): Promise<boolean> => {
    stop.abort();
    return false;
  };
  await t.rejects(texts({ path: logFile(t, line('a')), ended, signal: stop.signal }), { message: /the caller gave up/ });
});
