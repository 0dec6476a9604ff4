import { createHash } from 'node:crypto';
import t from 'tap';
import {
  addressOf,
  bytesOf,
  formatAddress,
  formatSubnet,
  gatewayOf,
  overlap,
  parseAddress,
  parsePodCidr,
  podRange,
  subnetOf,
} from '../../../../src/network/embedded/cidr.ts';

const subnet = (text: string) => parsePodCidr(text, 'test')[0]!;

t.test('addresses to numbers and back, in canonical form', async (t) => {
  const forms: [string, string][] = [
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['10.88.0.2', '10.88.0.2'],
    ['::', '::'],
    ['::1', '::1'],
    ['fd00::', 'fd00::'],
    ['FD00:0:0:0:0:0:0:A', 'fd00::a'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8::1:0:0:1', '2001:db8::1:0:0:1'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ];
  for (const [text, canonical] of forms) {
    const address = parseAddress(text)!;
    t.equal(formatAddress(address), canonical, text);
    t.strictSame(addressOf(bytesOf(address)), address);
  }
  for (const text of ['', '10.0.0', '10.0.0.256', 'fe80::1%eth0', ':::', 'localhost', '1.2.3.4/24'])
    t.equal(parseAddress(text), undefined, text);
});

t.test('any 16 bytes survive text', async (t) => {
  for (let seed = 0; seed < 500; seed += 1) {
    const bytes = createHash('md5').update(String(seed)).digest();
    for (let at = 0; at < 8; at += 1) if (seed & (1 << at)) bytes.fill(0, at * 2, at * 2 + 2); // every pattern of zero groups
    const address = addressOf(Uint8Array.from(bytes));
    t.strictSame(parseAddress(formatAddress(address)), address, formatAddress(address));
  }
});

t.test('pod networks', async (t) => {
  t.equal(formatSubnet(subnet('10.88.3.7/16')), '10.88.0.0/16');
  t.strictSame(parsePodCidr('10.88.0.0/16, fd00::/64', 'x').map(formatSubnet), ['10.88.0.0/16', 'fd00::/64']);
  t.strictSame(
    parsePodCidr('fd00::/64,10.88.0.0/16', 'x').map(formatSubnet),
    ['fd00::/64', '10.88.0.0/16'],
    'the first is the primary one',
  );
  for (const text of [
    '',
    '10.0.0.0',
    '10.0.0.0/31',
    '10.0.0.0/0',
    '10.0.0.0/8/8',
    'fd00::/127',
    '10.0.0.0/16,10.1.0.0/16',
    'x/8',
    '10.0.0.0/1e1',
    ',',
  ]) {
    t.throws(() => parsePodCidr(text, 'network.pod_cidr'), {
      reason: 'INVALID_ARGUMENT',
      message: `network.pod_cidr ${JSON.stringify(text)} is not a pod network; give an IPv4 network up to /30, an IPv6 network up to /126, or one of each separated by a comma`,
    });
  }
});

t.test('gateway and the pods’ range', async (t) => {
  const range = (text: string): string[] => {
    const net = subnet(text);
    const { first, last } = podRange(net);
    return [gatewayOf(net).value, first, last].map((value) => formatAddress({ family: net.family, value }));
  };
  t.strictSame(range('10.88.0.0/16'), ['10.88.0.1', '10.88.0.2', '10.88.255.254']);
  t.strictSame(range('10.88.0.4/30'), ['10.88.0.5', '10.88.0.6', '10.88.0.6']);
  t.strictSame(range('fd00::/126'), ['fd00::1', 'fd00::2', 'fd00::3']);
  t.strictSame(range('fd00::/64'), ['fd00::1', 'fd00::2', 'fd00::ffff:ffff:ffff:ffff']);
});

t.test('overlap and containment', async (t) => {
  t.ok(overlap(subnet('10.88.0.0/16'), subnet('10.88.4.0/24')));
  t.ok(overlap(subnet('10.88.4.0/24'), subnet('10.0.0.0/8')));
  t.notOk(overlap(subnet('10.88.0.0/16'), subnet('10.89.0.0/16')));
  t.notOk(overlap(subnet('10.88.0.0/16'), subnet('fd00::/64')));
  t.equal(formatSubnet(subnetOf(parseAddress('10.88.7.9')!, 22)), '10.88.4.0/22');
  t.equal(formatSubnet(subnetOf(parseAddress('10.88.7.9')!, 32)), '10.88.7.9/32');
});
