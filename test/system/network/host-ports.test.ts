import '../../fixtures/private-netns.ts';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import t from 'tap';
import type { PortMapping } from '../../../src/network/index.ts';
import { removeEmbeddedNetwork } from '../../../src/network/index.ts';
import { ask, inside, makeNode, never, outsideHost, serve, succeeds, tables } from '../../fixtures/network-node.ts';

const publish = (protocol: 'tcp' | 'udp' | 'sctp', hostPort: number, containerPort: number, hostIp = ''): PortMapping => ({
  protocol,
  hostPort,
  containerPort,
  hostIp,
});

for (const bridgeFilter of ['0', '1']) {
  t.test(`published ports answer from everywhere, with br_netfilter ${bridgeFilter === '1' ? 'on' : 'off'}`, async (t) => {
    writeFileSync('/proc/sys/net/bridge/bridge-nf-call-iptables', bridgeFilter);
    const outside = outsideHost(t);
    const node = makeNode(t, { podCidr: '10.88.0.0/16,fd88::/64' });
    const server = node.pod('server', { portMappings: [publish('tcp', 8080, 80), publish('udp', 5353, 53), publish('tcp', 0, 81)] });
    const neighbour = node.pod('neighbour');
    const attachment = await node.network.attach(server, never);
    await node.network.attach(neighbour, never);
    t.strictSame(attachment.ips, ['10.88.0.2', 'fd88::2']);
    t.strictSame(attachment.portMappings, [publish('tcp', 8080, 80), publish('udp', 5353, 53)], 'host port 0 publishes nothing');
    await serve(t, server.netnsPath, 'tcp', 80);
    await serve(t, server.netnsPath, 'udp', 53);

    t.equal(ask('', 'tcp', '127.0.0.1', 8080), 'from 10.88.0.1', 'host, by its loopback');
    t.equal(ask('', 'tcp', '192.0.2.1', 8080), 'from 192.0.2.1', 'host, by its address');
    t.equal(ask(outside, 'tcp', '192.0.2.1', 8080), 'from 192.0.2.2', 'outside, with the client’s address kept');
    t.equal(ask(neighbour.netnsPath, 'tcp', '192.0.2.1', 8080), 'from 10.88.0.1', 'a neighbour on the bridge');
    t.equal(ask(server.netnsPath, 'tcp', '192.0.2.1', 8080), 'from 10.88.0.1', 'the pod itself');
    t.equal(ask(neighbour.netnsPath, 'tcp', '10.88.0.2', 80), 'from 10.88.0.3', 'pods see each other’s own addresses');
    t.equal(ask(outside, 'udp', '192.0.2.1', 5353), 'from 192.0.2.2', 'UDP from outside');
    t.equal(ask('', 'udp', '127.0.0.1', 5353), 'from 10.88.0.1', 'UDP by the loopback');
    t.equal(ask(outside, 'tcp', '2001:db8::1', 8080), 'from 2001:db8::2', 'IPv6 from outside');
    t.equal(ask(neighbour.netnsPath, 'tcp', '2001:db8::1', 8080), 'from fd88::1', 'IPv6 from a neighbour');
    t.ok(succeeds(neighbour.netnsPath, 'busybox', 'ping', '-6', '-c1', '-W2', '2001:db8::2'), 'IPv6 pod to outside');

    await node.network.detach(server.sandboxId, server.netnsPath, never);
    t.equal(ask(outside, 'tcp', '192.0.2.1', 8080), 'ECONNREFUSED');
    await removeEmbeddedNetwork('berth0', node.store.table('settings'));
    t.equal(tables(), '');
    t.equal(
      inside('', 'sysctl', '-n', 'net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding', 'net.ipv6.conf.wan0.accept_ra'),
      '0\n0\n1\n',
      'switches of the host are put back',
    );
  });
}

t.test('the host’s loopback stays closed to pods', async (t) => {
  const node = makeNode(t);
  await serve(t, '/proc/self/ns/net', 'tcp', 9000);
  const pod = node.pod('curious', { portMappings: [publish('tcp', 8081, 80)] });
  await node.network.attach(pod, never);
  inside(pod.netnsPath, 'ip', 'addr', 'del', '127.0.0.1/8', 'dev', 'lo');
  inside(pod.netnsPath, 'sysctl', '-w', 'net.ipv4.conf.all.route_localnet=1');
  inside(pod.netnsPath, 'ip', 'route', 'add', '127.0.0.1/32', 'via', '10.88.0.1', 'src', '10.88.0.2');
  t.equal(ask(pod.netnsPath, 'tcp', '10.88.0.1', 9000), 'from 10.88.0.2', 'the server is up, and the bridge address is open');
  t.equal(ask(pod.netnsPath, 'tcp', '127.0.0.1', 9000), 'no answer');
  inside('', 'nft', 'flush', 'chain', 'inet', 'berth', 'guard');
  t.equal(ask(pod.netnsPath, 'tcp', '127.0.0.1', 9000), 'from 10.88.0.2', 'only the guard keeps it so');
  await removeEmbeddedNetwork('berth0');
});

t.test('a taken host port is refused before anything is made', async (t) => {
  const node = makeNode(t);
  const [a, b] = [node.pod('a', { portMappings: [publish('tcp', 8080, 80)] }), node.pod('b')];
  await node.network.attach(a, never);
  const tcp = (hostIp: string) => ({ ...b, portMappings: [publish('tcp', 8080, 1, hostIp)] });
  for (const hostIp of ['', '127.0.0.1', '0.0.0.0']) {
    await t.rejects(node.network.attach(tcp(hostIp), never), {
      reason: 'HOST_PORT_CONFLICT',
      kind: 'precondition',
      message: `host port 8080/tcp${hostIp === '' ? '' : ` on ${hostIp}`} is taken by the pod default/a; stop that or choose another port`,
    });
  }
  await t.rejects(node.network.attach({ ...b, portMappings: [publish('udp', 1, 1), publish('udp', 1, 2)] }, never), {
    message: 'host port 1/udp is taken by another mapping of the same pod; stop that or choose another port',
  });
  const listener = createServer().listen(8085, '127.0.0.1');
  await once(listener, 'listening');
  t.teardown(() => listener.close());
  await t.rejects(node.network.attach({ ...b, portMappings: [publish('tcp', 8085, 80)] }, never), {
    message: 'host port 8085/tcp is taken by a process of the host that listens on it; stop that or choose another port',
  });
  t.strictSame(node.rows(), { attachments: 1, addresses: 1 }, 'nothing is left of the refused');

  const { ips } = await node.network.attach(
    { ...b, portMappings: [publish('udp', 8080, 80), publish('sctp', 8080, 80), publish('tcp', 8085, 80, '192.0.2.99')] },
    never,
  );
  t.equal(ips.length, 1, 'the same number of another protocol, or on another address, is free');
  await node.network.detach(a.sandboxId, a.netnsPath, never);
  const c = node.pod('c', { portMappings: [publish('tcp', 8080, 80)] });
  await node.network.attach(c, never);
  t.pass('a port is free again after its pod');
  for (const pod of [b, c]) await node.network.detach(pod.sandboxId, pod.netnsPath, never);
  t.notMatch(inside('', 'nft', 'list', 'table', 'inet', 'berth'), /dnat ip/);
  await removeEmbeddedNetwork('berth0');
});

t.test('of pods that start at once, one gets the port and the rules hold them all', async (t) => {
  const node = makeNode(t);
  const pods = Array.from({ length: 8 }, (_, at) => node.pod(`p${at}`, { portMappings: [publish('tcp', 7000 + (at % 7), 80)] }));
  const outcomes = await Promise.allSettled(pods.map((pod) => node.network.attach(pod, never)));
  t.strictSame(
    outcomes.map(({ status }) => status),
    [...new Array<string>(7).fill('fulfilled'), 'rejected'],
  );
  t.match(outcomes.at(-1), { reason: { reason: 'HOST_PORT_CONFLICT', message: /taken by the pod default\/p0/ } });
  t.equal(inside('', 'nft', 'list', 'table', 'inet', 'berth').match(/dnat ip to/g)?.length, 7);
  t.strictSame(node.rows(), { attachments: 7, addresses: 7 });
  await Promise.all(pods.map((pod) => node.network.detach(pod.sandboxId, pod.netnsPath, never)));
  t.strictSame(node.rows(), { attachments: 0, addresses: 0 });
  await removeEmbeddedNetwork('berth0');
});

t.test('a UDP client that keeps its port follows the host port from nobody to one pod and on to the next', async (t) => {
  const outside = outsideHost(t);
  const node = makeNode(t);
  const question = (): string => ask(outside, 'udp', '192.0.2.1', 5353, 4000);
  t.equal(question(), 'no answer', 'and now the host tracks a flow of its own');
  for (const name of ['first', 'second']) {
    const pod = node.pod(name, { portMappings: [publish('udp', 5353, 53)] });
    await node.network.attach(pod, never);
    await serve(t, pod.netnsPath, 'udp', 53);
    t.equal(question(), 'from 192.0.2.2', name);
    await node.network.detach(pod.sandboxId, pod.netnsPath, never);
  }
  await removeEmbeddedNetwork('berth0');
});

t.test('without nft the node is not ready, and a pod that was begun is undone', async (t) => {
  const node = makeNode(t);
  const path = process.env.PATH;
  t.teardown(() => {
    process.env.PATH = path;
  });
  process.env.PATH = '/nonexistent';
  const message = 'the embedded network needs nft; install the package nftables';
  t.match(node.restart().status(), { ready: false, reason: 'NetworkPluginNotReady', message });
  const pod = node.pod('a', { portMappings: [publish('tcp', 8080, 80)] });
  await t.rejects(node.network.attach(pod, never), { reason: 'NETWORK_FAILED', message });
  t.strictSame(node.rows(), { attachments: 0, addresses: 0 });
  process.env.PATH = path;
  await node.network.attach(pod, never);
  t.match(node.restart().status(), { ready: true });
  await removeEmbeddedNetwork('berth0');
});
