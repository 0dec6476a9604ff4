import '../../fixtures/private-netns.ts';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { removeEmbeddedNetwork } from '../../../src/network/index.ts';
import { inside, links, makeNode, never, outsideHost, succeeds, tables } from '../../fixtures/network-node.ts';

const NOTHING = { attachments: 0, addresses: 0 };

/** Links die a moment after their namespace. */
async function untilLinks(t: { strictSame(found: unknown, wanted: unknown): unknown }, expected: string[]): Promise<void> {
  for (let tries = 0; tries < 100 && links().length !== expected.length; tries += 1) await delay(20);
  t.strictSame(links(), expected);
}

t.test('two pods reach each other, the host and the world outside, and nothing stays behind', async (t) => {
  const outside = outsideHost(t);
  const node = makeNode(t);
  const before = links();
  t.match(node.network.status(), { ready: true, mode: 'embedded', name: 'berth0', source: 'network.pod_cidr 10.88.0.0/16' });
  const a = node.pod('a');
  const b = node.pod('b');
  const first = await node.network.attach(a, never);
  const second = await node.network.attach(b, never);
  t.match(first, { mode: 'embedded', ips: ['10.88.0.2'], interfaceName: 'eth0', portMappings: [] });
  t.strictSame(
    first.timings.map(({ step }) => step),
    ['bridge', 'veth'],
  );
  t.strictSame(second.ips, ['10.88.0.3']);
  t.equal(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'), '1\n');
  t.match(inside(a.netnsPath, 'ip', 'addr', 'show', 'eth0'), /inet 10\.88\.0\.2\/16 brd 10\.88\.255\.255/);
  t.match(inside('', 'ip', '-d', 'link', 'show', 'master', 'berth0'), /hairpin on/);
  t.ok(succeeds(a.netnsPath, 'busybox', 'ping', '-c1', '-W2', '10.88.0.3'), 'pod to pod');
  t.ok(succeeds(a.netnsPath, 'busybox', 'ping', '-c1', '-W2', '10.88.0.1'), 'pod to host');
  t.ok(succeeds('', 'busybox', 'ping', '-c1', '-W2', '10.88.0.2'), 'host to pod');
  t.ok(
    succeeds(a.netnsPath, 'busybox', 'ping', '-c1', '-W2', '192.0.2.2'),
    'pod to outside, masqueraded: the host outside has no route back',
  );
  t.notOk(succeeds(outside, 'busybox', 'ping', '-c1', '-W1', '10.88.0.2'), 'the pod network is not visible outside');
  const [eth0, ...others] = node.network.stats(a.netnsPath);
  t.strictSame(others, [], 'lo is left out');
  t.match(eth0, { name: 'eth0', rxErrors: 0n });
  t.ok((eth0?.rxBytes ?? 0n) > 0n && (eth0?.txPackets ?? 0n) > 0n);

  for (const pod of [a, b]) {
    await node.network.detach(pod.sandboxId, pod.netnsPath, never);
    await node.network.detach(pod.sandboxId, pod.netnsPath, never);
    node.unpin(pod);
  }
  t.strictSame(node.rows(), NOTHING);
  await untilLinks(t, [...before, 'berth0']);
  t.equal(tables(), 'table inet berth');
  t.match((await node.network.collect(new Set(), never)).removed, ['berth0', 'nft table inet berth']);
  t.strictSame(links(), before);
  t.equal(tables(), '');
});

t.test('200 pods one after the other leave nothing', async (t) => {
  const node = makeNode(t);
  const before = links();
  const used = new Set<string>();
  for (let round = 0; round < 200; round += 1) {
    const pod = node.pod(`p${round}`);
    const { ips } = await node.network.attach(pod, never);
    used.add(ips[0] ?? '');
    await node.network.detach(pod.sandboxId, pod.netnsPath, never);
    node.unpin(pod);
  }
  t.equal(used.size, 200, 'a freed address is the last to be given again');
  t.strictSame(node.rows(), NOTHING);
  await removeEmbeddedNetwork('berth0');
  await untilLinks(t, before);
});

t.test('addresses survive a restart; left-overs of pods that are gone do not', async (t) => {
  const node = makeNode(t);
  const before = links();
  const [a, b] = [node.pod('a'), node.pod('b')];
  await node.network.attach(a, never);
  await node.network.attach(b, never);
  await node.network.close();
  node.store.table('addresses').put('10.88.7.7', { sandboxId: 'reserved-then-killed' });
  inside('', 'nft', 'flush', 'ruleset');

  const again = node.restart();
  const { removed } = await again.collect(new Set([a.sandboxId]), never);
  t.match(removed, ['attachment of default/b', /^bth/], 'the attachment and, as its namespace still holds it, the link');
  t.strictSame(
    node.store
      .table('addresses')
      .all()
      .map(({ id }) => id),
    ['10.88.0.2'],
  );
  t.equal(tables(), 'table inet berth', 'flushed rules are made again');
  const c = node.pod('c');
  t.strictSame((await again.attach(c, never)).ips, ['10.88.0.3'], 'the address of the live pod is not given again');
  t.ok(succeeds(c.netnsPath, 'busybox', 'ping', '-c1', '-W2', '10.88.0.2'));

  inside('', 'ip', 'link', 'del', 'berth0');
  await again.collect(new Set([a.sandboxId, c.sandboxId]), never);
  t.ok(succeeds(c.netnsPath, 'busybox', 'ping', '-c1', '-W2', '10.88.0.2'), 'pods are put back on a bridge that was removed');

  node.unpin(b);
  const { removed: rest } = await again.collect(new Set(), never);
  t.match(rest, ['attachment of default/a', 'attachment of default/c']);
  for (const pod of [a, c]) node.unpin(pod);
  t.strictSame(node.rows(), NOTHING);
  await untilLinks(t, before);
  t.equal(tables(), '');
});

t.test('an exhausted network is told, and a failed attach leaves nothing', async (t) => {
  const node = makeNode(t, { podCidr: '10.77.0.0/30' });
  const before = links();
  const [a, b] = [node.pod('a'), node.pod('b')];
  t.strictSame((await node.network.attach(a, never)).ips, ['10.77.0.2']);
  await t.rejects(node.network.attach(b, never), {
    reason: 'IPAM_EXHAUSTED',
    kind: 'exhausted',
    message: 'every pod address of 10.77.0.0/30 is taken (1); remove pods or give the node a larger pod CIDR',
  });
  t.strictSame(node.rows(), { attachments: 1, addresses: 1 });
  await node.network.detach(a.sandboxId, a.netnsPath, never);
  t.strictSame((await node.network.attach(b, never)).ips, ['10.77.0.2'], 'the same address at once, in another pod');
  t.ok(succeeds('', 'busybox', 'ping', '-c1', '-W2', '10.77.0.2'));
  await node.network.detach(b.sandboxId, undefined, never);

  await t.rejects(node.network.attach({ ...b, netnsPath: '/nonexistent/netns' }, never), {
    reason: 'NETWORK_FAILED',
    message: /nonexistent/,
  });
  t.strictSame(node.rows(), NOTHING);
  for (const pod of [a, b]) node.unpin(pod);
  await removeEmbeddedNetwork('berth0');
  await untilLinks(t, before);
});

t.test('two berths on one host do not meet', async (t) => {
  const one = makeNode(t, { bridge: 'tone', podCidr: '10.71.0.0/24' });
  const two = makeNode(t, { bridge: 't-two', podCidr: '10.72.0.0/24' });
  const [a, b] = [one.pod('a'), two.pod('b')];
  await one.network.attach(a, never);
  await two.network.attach(b, never);
  t.equal(tables(), 'table inet berth_tone\ntable inet berth_t-two');
  t.ok(succeeds(a.netnsPath, 'busybox', 'ping', '-c1', '-W2', '10.72.0.2'));
  t.strictSame((await removeEmbeddedNetwork('t-two')).slice(1), ['t-two', 'nft table inet berth_t-two'], 'and, first, the pod’s link');
  t.equal(tables(), 'table inet berth_tone');
  await removeEmbeddedNetwork('tone');
});
