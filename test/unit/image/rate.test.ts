import t from 'tap';
import { RateMeter } from '../../../src/image/rate.ts';

t.test('bytes a second over the last seconds', async (t) => {
  const meter = new RateMeter();
  t.equal(meter.perSecond(1000), 0, 'nothing came');
  meter.add(1000, 10_000);
  t.equal(meter.perSecond(10_000), 2000, 'the first bytes count as those of half a second');
  for (let ms = 10_100; ms < 20_000; ms += 100) meter.add(100, ms);
  const steady = meter.perSecond(20_000);
  t.ok(steady > 850 && steady < 1100, `${steady} of 1000 bytes/s`);
  t.ok(meter.perSecond(22_000) < steady, 'it falls when nothing comes');
  t.equal(meter.perSecond(30_000), 0);
  meter.add(500, 40_000);
  t.equal(meter.perSecond(40_000), 500 / 4.5, 'a slot of the ring that had grown old begins at 0');
});
