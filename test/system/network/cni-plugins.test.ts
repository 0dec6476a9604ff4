import '../../fixtures/private-netns.ts';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ask, inside, links, makeNode, never, outsideHost, serve, succeeds, type TestNode } from '../../fixtures/network-node.ts';

const configure = (node: TestNode, file: string, config: object): void =>
  writeFileSync(join(node.config.cniConfDir, file), JSON.stringify(config));

const leases = (node: TestNode, network: string): string[] =>
  readdirSync(join(node.dir, 'leases', network)).filter((name) => /^[\d.]+$/.test(name));

t.test('Debian’s bridge, host-local and portmap', async (t) => {
  const outside = outsideHost(t);
  const node = makeNode(t);
  t.teardown(() => inside('', 'ip', 'link', 'del', 'cni-test0'));
  const before = [...links(), 'cni-test0'];
  configure(node, '10-pods.conflist', {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni-test0',
        isGateway: true,
        ipMasq: true,
        ipam: { type: 'host-local', subnet: '10.99.0.0/24', dataDir: join(node.dir, 'leases'), routes: [{ dst: '0.0.0.0/0' }] },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  });
  const network = node.restart();
  t.match(network.status(), { ready: true, mode: 'cni', name: 'pods', source: join(node.config.cniConfDir, '10-pods.conflist') });
  const [a, b] = [node.pod('a', { portMappings: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, hostIp: '' }] }), node.pod('b')];
  const first = await network.attach(a, never);
  const second = await network.attach(b, never);
  t.match(first, { mode: 'cni', ips: ['10.99.0.2'], interfaceName: 'eth0' });
  t.strictSame(
    first.timings.map(({ step }) => step),
    ['bridge ADD', 'portmap ADD'],
  );
  t.strictSame(second.ips, ['10.99.0.3']);
  t.ok(succeeds(a.netnsPath, 'busybox', 'ping', '-c1', '-W2', '10.99.0.3'), 'pod to pod');
  t.ok(succeeds(a.netnsPath, 'busybox', 'ping', '-c1', '-W2', '192.0.2.2'), 'pod to outside');
  await serve(t, a.netnsPath, 'tcp', 80);
  t.equal(ask(outside, 'tcp', '192.0.2.1', 8080), 'from 192.0.2.2', 'published port, from outside');
  t.match(ask('', 'tcp', '127.0.0.1', 8080), 'from 10.99.0.1', 'published port, from the host');
  t.match(network.stats(a.netnsPath), [{ name: 'eth0' }]);
  t.strictSame(leases(node, 'pods'), ['10.99.0.2', '10.99.0.3']);

  await network.detach(a.sandboxId, a.netnsPath, never);
  node.unpin(b);
  await network.detach(b.sandboxId, b.netnsPath, never);
  await network.detach(b.sandboxId, undefined, never);
  t.strictSame(leases(node, 'pods'), [], 'addresses are free, also of the pod whose namespace was gone');
  // This version of bridge returns at once when the namespace is gone and leaves that pod's masquerade chain: not berth's to repair.
  t.notMatch(inside('', 'iptables-save', '-t', 'nat'), /8080|10\.99\.0\.2/, 'no rule is left of the pod whose namespace was there');
  t.strictSame(node.rows(), { attachments: 0, addresses: 0 });
  t.strictSame(links(), before);
});

t.test('Debian’s ptp in a single plugin’s file, dual stack; a loopback file is no network', async (t) => {
  const node = makeNode(t);
  const before = links();
  configure(node, '00-loopback.conf', { cniVersion: '1.0.0', name: 'lo', type: 'loopback' });
  const ranges = [[{ subnet: '10.98.0.0/24' }], [{ subnet: 'fd98::/64' }]];
  const ipam = { type: 'host-local', ranges, dataDir: join(node.dir, 'leases'), routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] };
  configure(node, '20-ptp.conf', { cniVersion: '1.0.0', name: 'wires', type: 'ptp', ipam });
  const network = node.restart();
  const pod = node.pod('a');
  t.strictSame((await network.attach(pod, never)).ips, ['10.98.0.2', 'fd98::2']);
  t.ok(succeeds('', 'busybox', 'ping', '-c1', '-W2', '10.98.0.2'), 'host to pod');
  await network.detach(pod.sandboxId, pod.netnsPath, never);
  t.strictSame(leases(node, 'wires'), []);
  t.strictSame(links(), before);
});

t.test('a version that Debian’s plugins do not know is told in the plugin’s own words', async (t) => {
  const node = makeNode(t);
  configure(node, '10-new.conf', { cniVersion: '1.1.0', name: 'new', type: 'ptp', ipam: { type: 'host-local', subnet: '10.98.0.0/24' } });
  const network = node.restart();
  await t.rejects(network.attach(node.pod('a'), never), {
    reason: 'CNI_FAILED',
    message: /^CNI plugin ptp \(ADD, network new, pod default\/a\) failed with code 1: incompatible CNI versions/,
  });
});
