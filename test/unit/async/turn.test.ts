import t from 'tap';
import { inOwnTurn } from '../../../src/async/index.ts';

t.test('pieces of work run in order, with the rest of the program in between', async (t) => {
  const seen: string[] = [];
  const rest = setInterval(() => seen.push('timer'), 0);
  const spin = (name: string): void => {
    seen.push(name);
    const end = performance.now() + 3;
    while (performance.now() < end); // longer than the timer's millisecond
  };
  await Promise.all(['a', 'b', 'c'].map((name) => inOwnTurn(() => spin(name))));
  clearInterval(rest);
  t.same(
    seen.filter((name) => name !== 'timer'),
    ['a', 'b', 'c'],
  );
  t.ok(seen.indexOf('timer', seen.indexOf('a')) < seen.indexOf('b'), 'the timer was served between the first two');
  t.ok(seen.indexOf('timer', seen.indexOf('b')) < seen.indexOf('c'));
});

t.test('work that throws does not hold up what is behind it', async (t) => {
  const failing = inOwnTurn(() => {
    throw new Error('no');
  });
  const after = inOwnTurn(() => 'yes');
  await t.rejects(failing, { message: 'no' });
  t.equal(await after, 'yes');
});
