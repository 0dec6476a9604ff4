// A goal of the benchmark is judged by what was measured, and not at all when that was not.
import t from 'tap';
import { compared, figure, table } from '../../../hack/lib/bench/report.ts';

const subject = { scenario: 'pull', metric: 'time', unit: 's' } as const;

t.test('a goal may be about berth alone, about the ratio, or about both', async (t) => {
  const measured = { ...subject, berth: 2, peers: { containerd: 5 } };
  t.match(figure(measured), { ratio: 0.4, goal: '', met: undefined });
  t.match(figure({ ...measured, atMost: 2 }), { goal: '<= 2 s', met: true });
  t.match(figure({ ...measured, atMost: 1.9 }), { goal: '<= 1.9 s', met: false });
  t.match(figure({ ...measured, ratioAtMost: 0.4 }), { goal: 'ratio <= 0.4', met: true });
  t.match(figure({ ...measured, ratioAtMost: 0.39 }), { goal: 'ratio <= 0.39', met: false });
  t.match(figure({ ...measured, atMost: 2, ratioAtMost: 0.1 }), { goal: '<= 2 s, ratio <= 0.1', met: false }, 'both count');
});

t.test('without a peer, or without berth, there is no verdict', async (t) => {
  const alone = compared({ ...subject, ratioAtMost: 0.5 }, [['berth', 2]]);
  t.match(alone, { ratio: null, goal: 'ratio <= 0.5', met: undefined });
  t.equal(compared({ ...subject, atMost: 3 }, [['berth', 2]]).met, true, 'a goal of berth’s own needs no peer');
  const missing = compared({ ...subject, atMost: 3, ratioAtMost: 0.5 }, [['containerd', 5]]);
  t.equal(missing.met, undefined);
  const [, first = '', second = ''] = table([alone, missing]).split('\n');
  t.match(first, /2\.00 s +- +- +ratio <= 0\.5$/);
  t.match(second, /^pull +time +- +5\.00 s/);
  t.notMatch(`${first}${second}`, /met|MISSED|NaN/);
});
