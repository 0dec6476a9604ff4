import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { StallGuard } from '../../../src/content/stall.ts';

const WINDOW_MS = 60;

/** A guard of 1000 bytes/s, and how often it has spoken. */
function guard(t: Test): { guard: StallGuard; stalls: () => number } {
  let stalls = 0;
  const made = new StallGuard({ floorBytesPerSecond: 1000, windowMs: WINDOW_MS }, () => {
    stalls += 1;
  });
  t.teardown(() => made[Symbol.dispose]());
  return { guard: made, stalls: () => stalls };
}

t.test('a window of waiting in which nothing comes is a stall, told once', async (t) => {
  const { guard: watched, stalls } = guard(t);
  await delay(2 * WINDOW_MS);
  t.equal(stalls(), 0, 'nobody waits yet');
  watched.wait();
  await delay(4 * WINDOW_MS);
  t.equal(stalls(), 1);
});

t.test('a window of bytes below the floor is a stall', async (t) => {
  const { guard: watched, stalls } = guard(t);
  watched.wait();
  watched.came(1);
  watched.wait();
  await delay(4 * WINDOW_MS);
  t.equal(stalls(), 1);
});

t.test('time that is spent on our side is no stall', async (t) => {
  const { guard: watched, stalls } = guard(t);
  watched.wait();
  watched.came(1);
  await delay(4 * WINDOW_MS); // a slow disk
  t.equal(stalls(), 0);
  watched.wait();
  watched.came(100);
  t.equal(stalls(), 0);
});

t.test('a window that ends at the moment bytes come is judged by them', async (t) => {
  for (const [bytes, expected] of [
    [WINDOW_MS - 1, 1],
    [WINDOW_MS, 0],
  ] as const) {
    const { guard: watched, stalls } = guard(t);
    watched.wait();
    const until = performance.now() + 1.5 * WINDOW_MS;
    while (performance.now() < until); // the timer cannot run
    watched.came(bytes);
    t.equal(stalls(), expected, `${bytes} bytes`);
  }
});
