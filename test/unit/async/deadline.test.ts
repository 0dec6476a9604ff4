import t from 'tap';
import { abortable, Limiter, sleep, withDeadline } from '../../../src/async/index.ts';

t.test('a deadline aborts with its own error, a parent with the parent’s', async (t) => {
  using short = withDeadline(1, () => new Error('too late'));
  await t.rejects(abortable(new Promise(() => undefined), short.signal), { message: 'too late' });
  const parent = new AbortController();
  using long = withDeadline(60_000, () => new Error('too late'), parent.signal);
  parent.abort();
  await t.rejects(abortable(new Promise(() => undefined), long.signal), { name: 'RuntimeError', reason: 'CANCELLED' });
});

t.test('abortable lets a finished result through and a failed one fail', async (t) => {
  const { signal } = new AbortController();
  t.equal(await abortable(Promise.resolve(4), signal), 4);
  await t.rejects(abortable(Promise.reject(new Error('no')), signal), { message: 'no' });
});

t.test('sleep ends early when its signal aborts', async (t) => {
  const controller = new AbortController();
  const nap = sleep(60_000, controller.signal);
  controller.abort();
  await t.rejects(nap, { name: 'RuntimeError', reason: 'CANCELLED' });
});

t.test('a limiter admits as many as it may and passes places on in order', async (t) => {
  const limiter = new Limiter(2);
  const gates = [0, 1, 2].map(() => Promise.withResolvers<void>());
  const begun: number[] = [];
  const tasks = gates.map((gate, index) =>
    limiter.run(async () => {
      begun.push(index);
      await gate.promise;
    }),
  );
  await sleep(1);
  t.same(begun, [0, 1]);
  t.same(limiter.load, { active: 2, waiting: 1 });
  gates[0]!.resolve();
  await tasks[0];
  await sleep(1);
  t.same(begun, [0, 1, 2]);
  for (const gate of gates) gate.resolve();
  await Promise.all(tasks);
  t.same(limiter.load, { active: 0, waiting: 0 });
});

t.test('one who gives up while waiting for a place frees it', async (t) => {
  const limiter = new Limiter(1);
  const gate = Promise.withResolvers<void>();
  const holder = limiter.run(() => gate.promise);
  const controller = new AbortController();
  const waiting = limiter.run(async () => t.fail('must not run'), controller.signal);
  controller.abort();
  await t.rejects(waiting, { name: 'RuntimeError', reason: 'CANCELLED' });
  gate.resolve();
  await holder;
  t.same(limiter.load, { active: 0, waiting: 0 });
});
