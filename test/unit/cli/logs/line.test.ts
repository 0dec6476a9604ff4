import t from 'tap';
import { LineJoiner, parseLogEntry } from '../../../../src/cli/logs/line.ts';

const TIME = '2026-01-02T03:04:05.678901234+02:00';
const parse = (text: string): ReturnType<typeof parseLogEntry> => parseLogEntry(Buffer.from(text));

t.test('lines of the format', async (t) => {
  t.same(parse(`${TIME} stdout F hello  world `), { time: TIME, stream: 'stdout', partial: false, content: Buffer.from('hello  world ') });
  t.same(parse(`${TIME} stderr P half`)?.partial, true);
  t.same(parse(`${TIME} stderr F:extra:tags x`)?.content.toString(), 'x', 'further tags are ignored');
  t.same(parse(`${TIME} stdout F `)?.content.length, 0, 'an empty line');
  t.same(parse(`${TIME} stdout F`)?.content.length, 0, 'an empty line whose space was dropped');
});

t.test('content is bytes', async (t) => {
  const raw = Buffer.concat([Buffer.from(`${TIME} stdout F `), Buffer.from([0xff, 0x00, 0x20, 0x0d])]);
  t.same(parseLogEntry(raw)?.content, Buffer.from([0xff, 0x00, 0x20, 0x0d]));
});

t.test('anything else is not taken for a line', async (t) => {
  for (const text of [
    '',
    'hello',
    `${TIME} stdout`,
    `${TIME} stdin F x`,
    `${TIME} stdout X x`,
    `yesterday stdout F x`,
    `${TIME}  stdout F x`,
  ]) {
    t.equal(parse(text), undefined, JSON.stringify(text));
  }
});

/** Joins lines given as `STREAM TAG CONTENT`. */
function join(entries: string[]): { lines: string[]; rest: string[] } {
  const joiner = new LineJoiner();
  const lines = entries.flatMap((text, at) => {
    const line = joiner.push(parse(`2026-01-02T03:04:0${at}Z ${text}`)!);
    return line === undefined ? [] : [`${line.time.slice(-2)} ${line.stream} ${line.content}`];
  });
  return { lines, rest: [...joiner.rest()].map((line) => `${line.stream} ${line.content}`) };
}

t.test('pieces are joined per stream and keep the time of the first', async (t) => {
  t.same(join(['stdout P a', 'stderr F err', 'stdout P b', 'stdout F c', 'stdout F d']), {
    lines: ['1Z stderr err', '0Z stdout abc', '4Z stdout d'],
    rest: [],
  });
});

t.test('what never ended comes at the end', async (t) => {
  t.same(join(['stdout P no newline']), { lines: [], rest: ['stdout no newline'] });
});

t.test('a line without end does not grow without bound', async (t) => {
  const joiner = new LineJoiner();
  const piece = { ...parse(`${TIME} stdout P `)!, content: Buffer.alloc(600_000) };
  t.equal(joiner.push(piece), undefined);
  t.equal(joiner.push(piece)?.content.length, 1_200_000);
});
