import t from 'tap';
import { KeyedQueue } from '../../../src/async/index.ts';

t.test('tasks of one key run in order, of two keys side by side', async (t) => {
  const queue = new KeyedQueue<string>();
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = queue.run('a', async () => {
    await gate.promise;
    seen.push('a1');
  });
  const second = queue.run('a', async () => {
    seen.push('a2');
  });
  await queue.run('b', async () => {
    seen.push('b1');
  });
  t.same(seen, ['b1']);
  gate.resolve();
  await Promise.all([first, second]);
  t.same(seen, ['b1', 'a1', 'a2']);
  t.equal(queue.size, 0, 'the memory of a key is gone with its last task');
});

t.test('a task that throws does not stop the ones behind it', async (t) => {
  const queue = new KeyedQueue<string>();
  const failed = queue.run('a', async () => {
    throw new Error('first');
  });
  const after = queue.run('a', async () => 'second');
  await t.rejects(failed, { message: 'first' });
  t.equal(await after, 'second');
});
