import t from 'tap';
import { EventBus, type LifecycleEvent } from '../../../src/events/index.ts';

const event = (n: number): LifecycleEvent => ({ kind: 'created', sandboxId: 's', containerId: String(n), atNs: BigInt(n) });

t.test('a subscriber sees every event from its start, in order', async (t) => {
  const bus = new EventBus<LifecycleEvent>();
  bus.publish(event(0));
  using subscription = bus.subscribe();
  for (const n of [1, 2, 3]) bus.publish(event(n));
  const seen: string[] = [];
  for await (const { containerId } of subscription) {
    seen.push(containerId);
    if (seen.length === 3) bus.publish(event(4));
    if (seen.length === 4) break;
  }
  t.same(seen, ['1', '2', '3', '4']);
});

t.test('a reader that is too slow is closed and told so', async (t) => {
  const bus = new EventBus<LifecycleEvent>();
  const slow = bus.subscribe();
  for (let n = 0; n < 5000; n += 1) bus.publish(event(n));
  t.ok(slow.overflowed);
  t.equal(bus.subscribers, 0);
  let count = 0;
  for await (const _ of slow) count += 1;
  t.equal(count, 4096, 'what it had is still delivered, then the end');
});

t.test('closing the bus ends waiting readers', async (t) => {
  const bus = new EventBus<LifecycleEvent>();
  const subscription = bus.subscribe();
  const reading = (async () => {
    for await (const _ of subscription) t.fail('nothing was published');
  })();
  bus.close();
  await reading;
  t.notOk(subscription.overflowed);
});
