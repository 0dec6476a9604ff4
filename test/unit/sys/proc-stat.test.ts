import t from 'tap';
import { parseProcStat } from '../../../src/sys/proc-stat.ts';

const TAIL = '1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456789 1000 200 18446744073709551615 1 1 0\n';

t.test('state, parent and start time', async (t) => {
  t.same(parseProcStat(`77 (sleep) S ${TAIL}`), { state: 'S', parentPid: 1, startTicks: 123456789n });
});

t.test('a command name cannot forge fields', async (t) => {
  t.same(parseProcStat(`77 (a) Z 9 (b c) R ${TAIL}`), { state: 'R', parentPid: 1, startTicks: 123456789n });
  t.equal(parseProcStat(`77 (line\nfeed) D ${TAIL}`)?.state, 'D');
});

t.test('a start time beyond 2^53 is exact', async (t) => {
  t.equal(parseProcStat(`7 (x) S ${TAIL.replace('123456789', '9007199254740993')}`)?.startTicks, 9007199254740993n);
});

t.test('anything else is undefined', async (t) => {
  for (const line of ['', '77', '77 (x', '77 (x) S 1 2', `77 (x) S ${TAIL.replace('123456789', '-')}`])
    t.equal(parseProcStat(line), undefined, line);
});
