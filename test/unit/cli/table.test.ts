import t from 'tap';
import { type Column, formatPairs, formatTable } from '../../../src/cli/table.ts';

interface Row {
  name: string;
  note: string;
}
const COLUMNS: readonly Column<Row>[] = [
  { heading: 'NAME', cell: (row) => row.name },
  { heading: 'IP', wide: true, cell: () => '10.0.0.1' },
  { heading: 'NOTE', cell: (row) => row.note },
];

t.test('columns are as wide as their widest cell, the last one is not padded', async (t) => {
  const rows = [
    { name: 'web', note: 'fine' },
    { name: 'größer', note: '' },
  ];
  t.equal(formatTable(COLUMNS, rows), 'NAME     NOTE\nweb      fine\ngrößer   -\n');
  t.equal(formatTable(COLUMNS, rows, true), 'NAME     IP         NOTE\nweb      10.0.0.1   fine\ngrößer   10.0.0.1   -\n');
});

t.test('no rows: only the headings', async (t) => {
  t.equal(formatTable(COLUMNS, []), 'NAME   NOTE\n');
});

t.test('control characters of a container’s words do not reach the terminal', async (t) => {
  t.equal(formatTable(COLUMNS, [{ name: 'a\u001b[2Jb', note: 'x\ny\t' }]), 'NAME     NOTE\na [2Jb   x y\n');
});

t.test('pairs are aligned', async (t) => {
  t.equal(
    formatPairs([
      ['a', '1'],
      ['long', '2'],
    ]),
    'a:     1\nlong:  2\n',
  );
  t.equal(formatPairs([]), '');
});
