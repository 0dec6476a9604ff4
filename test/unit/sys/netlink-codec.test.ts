import t from 'tap';
import {
  attribute,
  decodeAttributes,
  decodeError,
  decodeMessages,
  encodeMessage,
  nested,
  numberAttribute,
  textAttribute,
  textOf,
} from '../../../src/sys/netlink-codec.ts';
import {
  changeLink,
  decodeAddress,
  decodeLink,
  decodeRoute,
  dumpLinks,
  getLink,
  hairpinPort,
  newAddress,
  newBridge,
  newDefaultRoute,
  newVeth,
} from '../../../src/sys/netlink-route.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (...parts: string[]): Buffer => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex');

t.test('a message is a header in host order and a body', async (t) => {
  const message = encodeMessage({ type: 16, flags: 0x605, body: Buffer.from([1, 2, 3, 4]) }, 7);
  t.equal(hex(message), hex(bytes('14000000', '1000', '0506', '07000000', '00000000', '01020304')));
  t.match(decodeMessages(message), [{ type: 16, flags: 0x605, sequence: 7, payload: Buffer.from([1, 2, 3, 4]) }]);
});

t.test('attributes are padded to four bytes, lengths are not', async (t) => {
  t.equal(hex(attribute(3, Buffer.from('ab'))), '0600030061620000');
  t.equal(hex(textAttribute(3, 'lo')), '070003006c6f0000');
  t.equal(hex(numberAttribute(4, 1500)), '08000400dc050000');
  const outer = nested(18, textAttribute(1, 'veth'), numberAttribute(2, 1));
  const inner = decodeAttributes(decodeAttributes(outer).get(18) ?? Buffer.alloc(0));
  t.equal(textOf(inner.get(1) ?? Buffer.alloc(0)), 'veth');
  t.equal(inner.get(2)?.readUInt32LE(0), 1);
});

t.test('several messages in one datagram', async (t) => {
  const one = encodeMessage({ type: 1, flags: 0, body: Buffer.from([9]) }, 1);
  const padded = Buffer.concat([one, Buffer.alloc(3)]);
  const two = encodeMessage({ type: 2, flags: 0, body: Buffer.alloc(0) }, 2);
  t.strictSame(
    decodeMessages(Buffer.concat([padded, two])).map(({ type, payload }) => [type, payload.length]),
    [
      [1, 1],
      [2, 0],
    ],
  );
});

t.test('what does not fit is refused or left out, never read past', async (t) => {
  t.throws(() => decodeMessages(bytes('40000000', '1000', '0000', '00000000', '00000000')), RangeError);
  t.throws(() => decodeMessages(bytes('04000000', '1000', '0000', '00000000', '00000000')), RangeError);
  t.strictSame(decodeMessages(Buffer.alloc(7)), []);
  t.equal(decodeAttributes(bytes('ff000100 61')).size, 0);
  t.equal(decodeAttributes(bytes('00000100')).size, 0);
  t.equal(decodeAttributes(bytes('0500010061000000', '0300')).size, 1);
});

t.test('errors carry errno and the kernel’s words', async (t) => {
  const original = '14000000100005060700000000000000';
  const plain = { type: 2, flags: 0x100, sequence: 7, payload: bytes('efffffff', original) };
  t.strictSame(decodeError(plain), { errno: 17, message: '' });
  const acknowledged = { ...plain, payload: bytes('00000000', original) };
  t.equal(decodeError(acknowledged).errno, 0);
  const told = { ...plain, flags: 0x300, payload: bytes('eaffffff', original, hex(textAttribute(1, 'mtu too large'))) };
  t.strictSame(decodeError(told), { errno: 22, message: 'mtu too large' });
});

// Worked out by hand from linux/rtnetlink.h, if_link.h and if_addr.h; `strace -e sendto` shows them decoded as meant.
t.test('requests byte for byte', async (t) => {
  const header = '00'.repeat(16);
  const bridge = newBridge({ name: 'br0', mac: bytes('0a0102030405'), mtu: 1500 });
  t.match(bridge, { type: 16, flags: 0x605 });
  t.equal(hex(bridge.body), `${header}080003006272300008000400dc0500000a0001000a01020304050000${'10001200'}0b00010062726964676500${'00'}`);
  const veth = newVeth({ name: 'v', master: 2, mtu: 1500, peer: { name: 'eth0', mac: bytes('0a580a580002'), netnsFd: 21 } });
  t.equal(
    hex(veth.body),
    [
      header,
      '0600030076000000', // name
      '08000400dc050000', // mtu
      '08000a0002000000', // master
      '50001200', // link info
      '0900010076657468 00000000'.replace(' ', ''), // kind
      '4000 0200 3c00 0100'.replaceAll(' ', ''), // data, peer
      header,
      '0900030065746830 00000000'.replace(' ', ''),
      '08000400dc050000',
      '0a0001000a580a5800020000',
      '08001c0015000000', // netns fd
    ].join(''),
  );
  t.equal(hex(changeLink(4, { up: true }).body), '00000000040000000100000001000000');
  t.equal(hex(changeLink(4, { up: false }).body), '00000000040000000000000001000000');
  t.equal(hex(changeLink(4, { master: 2 }).body), '0000000004000000000000000000000008000a0002000000');
  t.equal(hex(hairpinPort(4).body), '070000000400000000000000000000000c000c800500040001000000');
  t.match(getLink('v1'), { type: 18, flags: 5 });
  t.match(dumpLinks(), { type: 18, flags: 0x301 });
});

t.test('addresses: the broadcast follows from the prefix, IPv6 skips duplicate detection', async (t) => {
  const four = newAddress({ index: 3, address: Uint8Array.of(10, 88, 0, 2), prefixLength: 20 });
  t.equal(hex(four.body), `0214000003000000${'080002000a580002'}${'080001000a580002'}${'080004000a580fff'}`);
  const six = newAddress({ index: 3, address: bytes('fd88', '00'.repeat(13), '02'), prefixLength: 64 });
  t.equal(hex(six.body.subarray(0, 8)), '0a40020003000000');
  t.equal(six.body.length, 8 + 20 + 20);
  t.match(decodeAddress(four.body), { index: 3, address: Uint8Array.of(10, 88, 0, 2), prefixLength: 20 });
});

t.test('a default route, and what of a route dump counts', async (t) => {
  const request = newDefaultRoute(3, Uint8Array.of(10, 88, 0, 1));
  t.equal(hex(request.body), '02000000fe0400010000000008000500 0a580001 0800040003000000'.replaceAll(' ', ''));
  t.equal(decodeRoute(request.body), undefined, 'the default route has no destination');
  const to = (table: number, type: number): Buffer =>
    Buffer.concat([
      Buffer.from([2, 16, 0, 0, table, 2, 253, type, 0, 0, 0, 0]),
      attribute(1, Uint8Array.of(10, 88, 0, 0)),
      numberAttribute(4, 2),
    ]);
  t.match(decodeRoute(to(254, 1)), { destination: Uint8Array.of(10, 88, 0, 0), prefixLength: 16, link: 2 });
  t.equal(decodeRoute(to(255, 2)), undefined, 'local table');
});

t.test('a link with counters', async (t) => {
  const stats = Buffer.alloc(8 * 24);
  for (let at = 0; at < 8; at += 1) stats.writeBigUInt64LE(BigInt(at + 1) * 10_000_000_000n, at * 8);
  const head = Buffer.alloc(16);
  head.writeInt32LE(5, 4);
  head.writeUInt32LE(0x1043, 8);
  const payload = Buffer.concat([
    head,
    textAttribute(3, 'eth0'),
    numberAttribute(4, 1500),
    numberAttribute(10, 2),
    attribute(1, bytes('0a580a580002')),
    attribute(23, stats),
    nested(18 | 0x8000, textAttribute(1, 'veth')),
  ]);
  const link = decodeLink(payload);
  t.match(link, { index: 5, name: 'eth0', up: true, mtu: 1500, master: 2, kind: 'veth' });
  t.strictSame(link.counters, {
    rxPackets: 10_000_000_000n,
    txPackets: 20_000_000_000n,
    rxBytes: 30_000_000_000n,
    txBytes: 40_000_000_000n,
    rxErrors: 50_000_000_000n,
    txErrors: 60_000_000_000n,
    rxDropped: 70_000_000_000n,
    txDropped: 80_000_000_000n,
  });
  t.match(decodeLink(head), { name: '', kind: '', master: 0, counters: undefined });
});
