import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t from 'tap';
import { decodeRow, encodeRow } from '../../../src/store/codec.ts';
import { openStore, Records } from '../../../src/store/index.ts';

interface Row {
  id: string;
  size: bigint;
}

t.test('rows keep bigints and bytes, at any depth', async (t) => {
  const value = { a: 2n ** 63n - 1n, b: [new Uint8Array([0, 255])], c: { d: -1n }, e: 'x', f: null };
  t.same(decodeRow(encodeRow(value)), value);
});

t.test('a label called like the codec’s own marks is still a label', async (t) => {
  for (const value of [{ labels: { $n: 'abc' } }, { $b: 1n }, { $o: [{ $o: 'x' }] }, { $n: { $n: '1' } }, { $x: [1n] }]) {
    t.same(decodeRow(encodeRow(value)), value);
  }
});

t.test('what was put is there after the database was closed and opened again', async (t) => {
  const path = join(t.testdir(), 'state', 'berth.db');
  {
    using store = openStore({ path });
    store.table<Row>('sandboxes').put('a', { id: 'a', size: 1n });
    store.durable(() => store.table<Row>('images').put('b', { id: 'b', size: 2n }));
  }
  using store = openStore({ path });
  t.same(store.table<Row>('sandboxes').all(), [{ id: 'a', value: { id: 'a', size: 1n } }]);
  t.same(store.table<Row>('images').get('b'), { id: 'b', size: 2n });
  t.ok(store.table<Row>('images').delete('b'));
  t.notOk(store.table<Row>('images').delete('b'));
});

t.test('a transaction that throws leaves nothing', async (t) => {
  using store = openStore({ path: ':memory:' });
  const table = store.table<Row>('layers');
  t.throws(() =>
    store.transaction(() => {
      table.put('a', { id: 'a', size: 1n });
      throw new Error('half way');
    }),
  );
  t.same(table.all(), []);
});

t.test('a database of a newer berth is refused, not guessed at', async (t) => {
  const path = join(t.testdir(), 'berth.db');
  const db = new DatabaseSync(path);
  db.exec('PRAGMA user_version=99');
  db.close();
  t.throws(() => openStore({ path }), { name: 'RuntimeError', reason: 'STORE_FAILED', message: /schema 99/ });
});

t.test('a database of an older berth gets the tables it lacks and keeps what it has', async (t) => {
  const path = join(t.testdir(), 'berth.db');
  const old = openStore({ path });
  old.table('images').put('i', { id: 'i' });
  old[Symbol.dispose]();
  const db = new DatabaseSync(path);
  db.exec('DROP TABLE imports; PRAGMA user_version=1');
  db.close();
  using store = openStore({ path });
  store.table('imports').put('/a.tar', { size: 1n });
  t.same(store.table('imports').get('/a.tar'), { size: 1n });
  t.same(store.table('images').all(), [{ id: 'i', value: { id: 'i' } }]);
});

t.test('records are answered from memory by id and unique prefix', async (t) => {
  using store = openStore({ path: ':memory:' });
  const naming = { noun: 'pod sandbox', notFound: 'SANDBOX_NOT_FOUND' } as const;
  const records = new Records<Row>(store.table('sandboxes'), naming);
  const all = (): boolean => true;
  records.put({ id: 'abc1', size: 1n });
  records.put({ id: 'abd2', size: 2n });
  t.equal(records.resolve('abd', all).size, 2n);
  t.throws(() => records.resolve('ab', all), { name: 'RuntimeError', reason: 'AMBIGUOUS_ID', kind: 'invalid' });
  t.throws(() => records.resolve('x', all), { name: 'RuntimeError', reason: 'SANDBOX_NOT_FOUND', kind: 'not-found' });
  t.throws(() => records.resolve('', all), { name: 'RuntimeError', reason: 'SANDBOX_NOT_FOUND' });
  t.throws(
    () => records.resolve('abc1', () => false),
    { name: 'RuntimeError', reason: 'SANDBOX_NOT_FOUND' },
    'an unseen record is not found',
  );
  const before = records.get('abc1');
  records.update('abc1', { size: 5n });
  t.equal(before?.size, 1n, 'an old version stays as it was');
  t.equal(records.update('gone', { size: 1n }), undefined);
  t.same(
    [...new Records<Row>(store.table('sandboxes'), naming).values()].map((row) => row.size),
    [5n, 2n],
    'a second reader of the table sees the same',
  );
  records.delete('abc1');
  t.equal(records.find('abc1', all), undefined);
});

t.test('a damaged row is told of and left out; the others are there', async (t) => {
  const path = join(t.testdir(), 'berth.db');
  using store = openStore({ path });
  store.table<Row>('sandboxes').put('whole', { id: 'whole', size: 1n });
  store.table<Row>('sandboxes').put('torn', { id: 'torn', size: 1n });
  using db = new DatabaseSync(path);
  db.exec(`UPDATE sandboxes SET body = '{"id":"to' WHERE id = 'torn'`);
  const told: unknown[] = [];
  using again = openStore({ path, damaged: (row) => told.push(row) });
  const table = again.table<Row>('sandboxes');
  t.same(
    table.all().map(({ id }) => id),
    ['whole'],
  );
  t.equal(table.get('torn'), undefined);
  t.match(told, [
    { table: 'sandboxes', id: 'torn', problem: /JSON/ },
    { table: 'sandboxes', id: 'torn', problem: /JSON/ },
  ]);
});

t.test('what happened is remembered though the disk refuses it, and written when it can be', async (t) => {
  const rows = new Map<string, Row>();
  let broken = false;
  const records = new Records<Row>(
    {
      get: (id) => rows.get(id),
      all: () => [],
      delete: (id) => rows.delete(id),
      put(id, value) {
        if (broken) throw new Error('disk full');
        rows.set(id, value);
      },
    },
    { noun: 'pod sandbox', notFound: 'SANDBOX_NOT_FOUND' },
  );
  records.put({ id: 'a', size: 1n });
  broken = true;
  t.throws(() => records.update('a', { size: 2n }), { message: 'disk full' }, 'an intent is refused');
  t.match(records.get('a'), { size: 1n });
  t.match(records.observe('a', { size: 3n }), { size: 3n });
  t.match(records.get('a'), { size: 3n });
  t.match(rows.get('a'), { size: 1n });
  t.equal(records.observe('b', { size: 3n }), undefined, 'what is not there is not made');
  broken = false;
  records.put({ id: 'c', size: 4n });
  t.match(rows.get('a'), { size: 3n });
});
