import t from 'tap';
import { type Candidate, matchesLabels, matchesName, pick } from '../../../src/cli/lookup.ts';

const candidate = (id: string, name: string, more: Partial<Candidate> = {}): Candidate => ({
  id,
  names: [name, `default/${name}`],
  lineage: id,
  createdAtNs: 1n,
  ...more,
});
const search = (word: string) => ({ word, what: 'pod' as const });

t.test('an exact id, then a name, then the start of an id', async (t) => {
  const all = [candidate('abc1', 'web'), candidate('abd2', 'abc1'), candidate('ffff', 'ab')];
  t.equal(pick(all, search('abc1')).id, 'abc1', 'the id before the name');
  t.equal(pick(all, search('web')).id, 'abc1');
  t.equal(pick(all, search('default/web')).id, 'abc1');
  t.equal(pick(all, search('ab')).id, 'ffff', 'the name before the prefix');
  t.equal(pick(all, search('abd')).id, 'abd2');
});

t.test('restarts of one container are one: the newest', async (t) => {
  const all = [
    candidate('old', 'app', { lineage: 'pod app', createdAtNs: 1n }),
    candidate('new', 'app', { lineage: 'pod app', createdAtNs: 3n }),
    candidate('mid', 'app', { lineage: 'pod app', createdAtNs: 2n }),
  ];
  t.equal(pick(all, search('app')).id, 'new');
});

t.test('nothing, or too much', async (t) => {
  const all = [candidate('abc1', 'web'), candidate('abc2', 'web')];
  t.throws(() => pick(all, search('nope')), { message: 'no pod has the id or name "nope"' });
  t.throws(() => pick(all, search('')), { message: 'no pod has the id or name ""' });
  t.throws(() => pick(all, search('abc')), { message: '"abc" stands for 2 pods: abc1 (default/web), abc2 (default/web)' });
  t.throws(() => pick(all, search('web')), { message: /^"web" stands for 2 pods/ });
  t.throws(() => pick([], { word: 'x', what: 'container' }), { message: 'no container has the id or name "x"' });
});

t.test('name patterns and labels', async (t) => {
  t.ok(matchesName(undefined, 'x'));
  t.ok(matchesName('we*', 'web-1'));
  t.ok(matchesName('*b*1', 'web-1'));
  t.notOk(matchesName('we', 'web-1'), 'without a star the whole name counts');
  t.notOk(matchesName('w.b', 'web'), 'a dot is a dot');
  t.ok(matchesLabels([], {}));
  t.ok(matchesLabels(['a', 'b=1=2'], { a: '', b: '1=2' }));
  t.notOk(matchesLabels(['a=1'], { a: '2' }));
  t.notOk(matchesLabels(['toString'], {}), 'only own labels count');
});
