import '../../fixtures/private-netns.ts';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { type NetworkStatus, removeEmbeddedNetwork } from '../../../src/network/index.ts';
import { inside, makeNode, never, type TestNode } from '../../fixtures/network-node.ts';

const conf = (name: string, type = 'ptp'): string => JSON.stringify({ cniVersion: '1.0.0', name, type });

async function becomes(
  t: { match(found: unknown, wanted: object): unknown },
  node: TestNode,
  wanted: Partial<NetworkStatus> & { message?: string },
): Promise<void> {
  const matches = (): boolean =>
    Object.entries(wanted).every(([key, value]) => String(Object(node.network.status())[key]).includes(String(value)));
  for (let tries = 0; tries < 400 && !matches(); tries += 1) await delay(20);
  t.match(node.network.status(), wanted);
}

t.test('the configuration directory is followed', async (t) => {
  const node = makeNode(t);
  const dir = node.config.cniConfDir;
  const file = (name: string): string => join(dir, name);
  t.match(node.network.status(), { ready: true, mode: 'embedded' });
  writeFileSync(file('20-b.conf'), conf('b'));
  await becomes(t, node, { ready: true, mode: 'cni', name: 'b', source: file('20-b.conf'), reason: '', message: '' });
  writeFileSync(file('10-a.conflist'), `{"cniVersion":"1.0.0","name":"a","plugins":[`);
  await becomes(t, node, {
    ready: false,
    mode: 'cni',
    reason: 'NetworkPluginNotReady',
    source: file('10-a.conflist'),
    message: '10-a.conflist is not usable: it is not JSON',
  });
  await t.rejects(node.network.attach(node.pod('x'), never), { reason: 'CNI_CONFIG', message: /10-a\.conflist/ });
  writeFileSync(file('.tmp'), JSON.stringify({ cniVersion: '1.0.0', name: 'a', plugins: [{ type: 'nosuch' }] }));
  renameSync(file('.tmp'), file('10-a.conflist'));
  await becomes(t, node, {
    ready: false,
    mode: 'cni',
    name: 'a',
    message: `the CNI plugin nosuch is not installed in ${node.config.cniBinDirs.join(', ')}; install it there or add its directory to network.cni_bin_dirs`,
  });
  await t.rejects(node.network.attach(node.pod('y'), never), { reason: 'CNI_PLUGIN_MISSING', message: /nosuch/ });
  t.equal(node.rows().attachments, 0);
  rmSync(dir, { recursive: true });
  await becomes(t, node, { ready: true, mode: 'embedded' });
  mkdirSync(dir);
  writeFileSync(file('30-c.json'), conf('c'));
  await becomes(t, node, { ready: true, mode: 'cni', name: 'c' });
});

t.test('no configuration and no embedded network', async (t) => {
  const node = makeNode(t, { embedded: false });
  const message = `there is no CNI configuration in ${node.config.cniConfDir} and the embedded network is off; install a CNI network or set network.embedded`;
  t.strictSame(node.network.status(), { ready: false, mode: 'none', reason: 'NetworkPluginNotReady', message, name: '', source: '' });
  await t.rejects(node.network.attach(node.pod('x'), never), { reason: 'NETWORK_NOT_READY', message });
});

t.test('a pod CIDR told later serves new pods; old ones keep their addresses', async (t) => {
  const node = makeNode(t);
  const [old, young] = [node.pod('old'), node.pod('young')];
  await node.network.attach(old, never);
  node.network.setPodCidr('');
  t.throws(() => node.network.setPodCidr('10.0.0.0/33'), { reason: 'INVALID_ARGUMENT', message: /10\.0\.0\.0\/33/ });
  t.equal(node.network.status().source, 'network.pod_cidr 10.88.0.0/16');
  node.network.setPodCidr('10.66.0.0/24');
  t.equal(node.network.status().source, 'UpdateRuntimeConfig 10.66.0.0/24');
  t.strictSame((await node.network.attach(young, never)).ips, ['10.66.0.2']);
  inside(young.netnsPath, 'busybox', 'ping', '-c1', '-W2', '10.88.0.2');
  t.strictSame((await node.restart().attach(node.pod('younger'), never)).ips, ['10.66.0.3'], 'it is kept over a restart');
  await removeEmbeddedNetwork('berth0');
});

t.test('what is in the way on the host is told and left alone', async (t) => {
  const node = makeNode(t);
  inside('', 'ip', 'link', 'add', 'berth0', 'type', 'bridge');
  await t.rejects(node.network.attach(node.pod('a'), never), {
    reason: 'NETWORK_FAILED',
    message: 'the interface berth0 exists and was not made by berth; remove it or set network.bridge to another name',
  });
  t.strictSame(await removeEmbeddedNetwork('berth0'), []);
  inside('', 'ip', 'link', 'del', 'berth0');
  inside('', 'ip', 'link', 'add', 'vpn0', 'type', 'bridge');
  inside('', 'ip', 'addr', 'add', '10.88.4.1/24', 'dev', 'vpn0');
  inside('', 'ip', 'link', 'set', 'vpn0', 'up');
  await t.rejects(node.network.attach(node.pod('b'), never), {
    reason: 'NETWORK_FAILED',
    message:
      "the pod network 10.88.0.0/16 of berth0 meets the host's route to 10.88.4.0/24 on vpn0; set network.pod_cidr to a free network".replace(
        '’',
        "'",
      ),
  });
  t.strictSame(node.rows(), { attachments: 0, addresses: 0 });
  inside('', 'ip', 'link', 'del', 'vpn0');
});
