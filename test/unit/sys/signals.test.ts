import t from 'tap';
import { SIGNALS } from '../../../src/sys/signals.ts';

t.test('both spellings of real-time signals, as kill -l numbers them', async (t) => {
  t.match(SIGNALS, { SIGTERM: 15, SIGKILL: 9, SIGRTMIN: 34, 'SIGRTMIN+1': 35, 'SIGRTMIN+3': 37, 'SIGRTMIN+15': 49 });
  t.match(SIGNALS, { SIGRTMAX: 64, 'SIGRTMAX-1': 63, 'SIGRTMAX-14': 50 });
  t.equal(SIGNALS['SIGRTMIN+16'], undefined);
  t.equal(SIGNALS['SIGRTMAX-15'], undefined);
});
