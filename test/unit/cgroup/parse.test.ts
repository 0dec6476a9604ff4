import t from 'tap';
import { countLines, field, integer, nested, pidList, pressure } from '../../../src/cgroup/parse.ts';

t.test('integer takes digits and nothing else', async (t) => {
  t.equal(integer('18446744073709551615\n'), 18446744073709551615n);
  for (const bad of [undefined, '', 'max', '-1', '1.5', '0x10', '12 13']) t.equal(integer(bad), undefined, String(bad));
});

t.test('field finds a whole key, first, last or in between', async (t) => {
  const text = 'file 1\nfile_mapped 2\ninactive_file 3\nanon 4';
  t.equal(field(text, 'file'), 1n);
  t.equal(field(text, 'file_mapped'), 2n);
  t.equal(field(text, 'inactive_file'), 3n);
  t.equal(field(text, 'anon'), 4n);
  t.equal(field(text, 'mapped'), undefined, 'a suffix is no key');
  t.equal(field(undefined, 'file'), undefined);
  t.equal(field('file x\n', 'file'), undefined, 'malformed');
});

t.test('nested splits rows, and a row without figures is empty', async (t) => {
  t.same(nested('8:0 rbytes=1 wios=2\n254:0 \n'), [
    { name: '8:0', values: { rbytes: '1', wios: '2' } },
    { name: '254:0', values: {} },
  ]);
  t.same(nested(undefined), []);
});

t.test('pressure turns microseconds to ns', async (t) => {
  const text = 'some avg10=1.25 avg60=0.50 avg300=0.10 total=1834999\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=912345\n';
  t.same(pressure(text), {
    some: { totalNs: 1834999000n, avg10: 1.25, avg60: 0.5, avg300: 0.1 },
    full: { totalNs: 912345000n, avg10: 0.25, avg60: 0, avg300: 0 },
  });
  t.equal(pressure('some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n')?.full.totalNs, 0n, 'kernels before 5.13 have no full line for cpu');
  t.equal(pressure(undefined), undefined);
  t.equal(pressure('garbage\n'), undefined);
});

t.test('pid lists', async (t) => {
  t.same(pidList('4711\n0\n4712\n'), [4711, 4712], 'a pid outside our namespace reads as 0');
  t.equal(countLines('4711\n0\n4712\n'), 3n);
  t.equal(countLines(''), 0n);
});
