import t from 'tap';
import { parseAddress, parsePodCidr } from '../../../../src/network/embedded/cidr.ts';
import { dropTableText, rulesetText, tableOf } from '../../../../src/network/embedded/ruleset.ts';
import type { PortMapping } from '../../../../src/network/index.ts';

const map = (protocol: PortMapping['protocol'], hostPort: number, containerPort: number, hostIp = ''): PortMapping => ({
  protocol,
  hostPort,
  containerPort,
  hostIp,
});
const pod = (portMappings: PortMapping[], ...addresses: string[]) => ({
  name: 'default/web',
  addresses: addresses.map((text) => parseAddress(text)!),
  portMappings,
});
const rules = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => / dnat ip6? to |original/.test(line));

t.test('the whole table of a node without pods', async (t) => {
  t.equal(
    rulesetText({ bridge: 'berth0', subnets: parsePodCidr('10.88.0.0/16,fd00::/64', 'test'), pods: [] }),
    `table inet berth
delete table inet berth
table inet berth {
  chain guard {
    type filter hook prerouting priority -300; policy accept;
    iifname "berth0" ip daddr 127.0.0.0/8 drop
  }
  chain ports {
  }
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    fib daddr type local jump ports
  }
  chain output {
    type nat hook output priority -100; policy accept;
    fib daddr type local jump ports
  }
  chain hairpin {
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    ct status dnat jump hairpin
    oifname "berth0" ip saddr 127.0.0.0/8 masquerade
    ip saddr 10.88.0.0/16 oifname != "berth0" ip daddr != 224.0.0.0/4 masquerade
    ip6 saddr fd00::/64 oifname != "berth0" ip6 daddr != ff00::/8 masquerade
  }
}
`,
  );
});

t.test('another bridge has a table of its own', async (t) => {
  t.equal(tableOf('berth1'), 'berth_berth1');
  t.equal(dropTableText('x'), 'table inet berth_x\ndelete table inet berth_x\n');
});

t.test('a port is rewritten for each of the pod’s addresses, and on its way back to its own bridge', async (t) => {
  const subnets = parsePodCidr('10.88.0.0/16,fd00::/64', 'test');
  t.strictSame(rules(rulesetText({ bridge: 'b', subnets, pods: [pod([map('tcp', 8080, 80)], '10.88.0.2', 'fd00::2')] })), [
    'meta nfproto ipv4 tcp dport 8080 dnat ip to 10.88.0.2:80 comment "default/web"',
    'meta nfproto ipv6 tcp dport 8080 dnat ip6 to [fd00::2]:80 comment "default/web"',
    'ip saddr 10.88.0.0/16 ip daddr 10.88.0.2 tcp dport 80 ct original proto-dst 8080 masquerade',
    'ip6 saddr fd00::/64 ip6 daddr fd00::2 tcp dport 80 ct original proto-dst 8080 masquerade',
  ]);
});

t.test('a host address narrows the rule to itself and to its family', async (t) => {
  const subnets = parsePodCidr('10.88.0.0/16', 'test');
  const rewrites = (hostIp: string): string[] =>
    rules(rulesetText({ bridge: 'b', subnets, pods: [pod([map('udp', 53, 5353, hostIp)], '10.88.0.2', 'fd00::2')] })).filter((rule) =>
      / dnat /.test(rule),
    );
  t.strictSame(rewrites('127.0.0.1'), ['ip daddr 127.0.0.1 udp dport 53 dnat ip to 10.88.0.2:5353 comment "default/web"']);
  t.strictSame(rewrites('0.0.0.0'), ['meta nfproto ipv4 udp dport 53 dnat ip to 10.88.0.2:5353 comment "default/web"']);
  t.strictSame(rewrites('2001:DB8::1'), ['ip6 daddr 2001:db8::1 udp dport 53 dnat ip6 to [fd00::2]:5353 comment "default/web"']);
});

t.test('a name cannot add to the rules', async (t) => {
  const evil = { ...pod([map('sctp', 1, 2)], '10.88.0.2'), name: 'a"; flush ruleset;\n#/b' };
  const [rule] = rules(rulesetText({ bridge: 'b', subnets: [], pods: [evil] }));
  t.equal(rule, 'meta nfproto ipv4 sctp dport 1 dnat ip to 10.88.0.2:2 comment "a___flush_ruleset___/b"');
  const long = { ...evil, name: 'x'.repeat(400) };
  t.match(rulesetText({ bridge: 'b', subnets: [], pods: [long] }), /comment "x{127}"/);
});
