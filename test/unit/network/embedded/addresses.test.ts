import t from 'tap';
import { Addresses, type AddressRow } from '../../../../src/network/embedded/addresses.ts';
import { formatAddress, parsePodCidr } from '../../../../src/network/embedded/cidr.ts';
import { openStore } from '../../../../src/store/index.ts';

const small = parsePodCidr('10.0.0.0/29', 'test')[0]!; // pods .2 to .6
const six = parsePodCidr('fd00::/126', 'test')[0]!; // pods ::2 and ::3

function make(t: Tap) {
  const store = openStore({ path: ':memory:' });
  t.teardown(() => store[Symbol.dispose]());
  const table = store.table<AddressRow>('addresses');
  const rows = () => table.all().map(({ id, value }) => `${id} ${value.sandboxId}`);
  return { table, rows, addresses: new Addresses(table), reopen: () => new Addresses(table) };
}
interface Tap {
  teardown(work: () => unknown): void;
}

t.test('every address once, the freed ones last', async (t) => {
  const { addresses, rows } = make(t);
  const next = (id: string) => formatAddress(addresses.reserve(small, id));
  t.strictSame(['a', 'b', 'c'].map(next), ['10.0.0.2', '10.0.0.3', '10.0.0.4']);
  addresses.release('a');
  t.strictSame(['d', 'e', 'f'].map(next), ['10.0.0.5', '10.0.0.6', '10.0.0.2']);
  t.throws(() => next('g'), {
    reason: 'IPAM_EXHAUSTED',
    message: 'every pod address of 10.0.0.0/29 is taken (5); remove pods or give the node a larger pod CIDR',
  });
  t.strictSame(rows(), ['10.0.0.2 f', '10.0.0.3 b', '10.0.0.4 c', '10.0.0.5 d', '10.0.0.6 e']);
  addresses.release('c');
  t.equal(next('g'), '10.0.0.4');
});

t.test('leases are read back, and one sandbox may hold one of each family', async (t) => {
  const { addresses, reopen, rows } = make(t);
  addresses.reserve(small, 'a');
  addresses.reserve(six, 'a');
  addresses.reserve(six, 'b');
  const again = reopen();
  t.strictSame(again.owners(), new Set(['a', 'b']));
  t.equal(formatAddress(again.reserve(small, 'c')), '10.0.0.3');
  t.throws(() => again.reserve(six, 'c'), { reason: 'IPAM_EXHAUSTED', message: /fd00::\/126 is taken \(2\)/ });
  again.release('a');
  again.release('a');
  t.strictSame(rows(), ['10.0.0.3 c', 'fd00::3 b']);
});
