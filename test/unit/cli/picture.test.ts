import t from 'tap';
import { Picture } from '../../../src/cli/picture.ts';

const UP = /^.\[(\d+)A/; // behind the escape character

t.test('never more lines than the terminal, and each picture over the one before', async (t) => {
  const written: string[] = [];
  const canvas = (columns: number, rows: number) => ({ write: (text: string) => void written.push(text), columns, rows });
  const picture = new Picture();
  const lines = Array.from({ length: 30 }, (_, at) => `line ${at} ${'x'.repeat(200)}`);
  picture.draw(lines, canvas(40, 10));
  t.notMatch(written[0], UP);
  const drawn = written[0]?.replace('\u001b[0J', '').trimEnd().split('\n') ?? [];
  t.equal(drawn.length, 9);
  t.ok(drawn.every((line) => line.length === 39));
  picture.draw(lines.slice(0, 3), canvas(40, 10));
  t.equal(UP.exec(written[1] ?? '')?.[1], '9', 'up by what was drawn');
  picture.draw(lines, canvas(40, 3));
  t.equal(UP.exec(written[2] ?? '')?.[1], '2', 'but not beyond a terminal that has become lower');
});
