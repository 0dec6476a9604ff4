import t from 'tap';
import { nearest } from '../../../src/config/index.ts';

t.test('typos find their word, other words find none', async (t) => {
  const words = ['pods', 'ps', 'images', 'inspect', 'logs'];
  t.equal(nearest('pdos', words), 'pods', 'two letters swapped');
  t.equal(nearest('imagse', words), 'images');
  t.equal(nearest('INSPECT', words), 'inspect', 'case does not count');
  t.equal(nearest('lgs', words), 'logs', 'one letter missing');
  t.equal(nearest('frobnicate', words), undefined);
  t.equal(nearest('x', []), undefined);
});
