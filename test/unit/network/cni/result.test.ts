import t from 'tap';
import { parsePluginError, podAddresses } from '../../../../src/network/cni/result.ts';

// The forms that CNI's specification gives for each version.
const RESULTS: Record<string, unknown> = {
  '0.3.0': { cniVersion: '0.3.0', ip4: undefined, ips: [{ version: '4', address: '10.1.0.5/16', gateway: '10.1.0.1' }], dns: {} },
  '0.3.1': {
    cniVersion: '0.3.1',
    interfaces: [{ name: 'cni0', mac: '00:11:22:33:44:55' }, { name: 'veth1' }, { name: 'eth0', sandbox: '/run/netns/x' }],
    ips: [
      { version: '4', address: '10.1.0.5/16', gateway: '10.1.0.1', interface: 2 },
      { version: '6', address: 'fd00::5/64', interface: 2 },
    ],
  },
  '0.4.0': {
    cniVersion: '0.4.0',
    interfaces: [
      { name: 'eth0', sandbox: '/run/netns/x' },
      { name: 'net1', sandbox: '/run/netns/x' },
    ],
    ips: [
      { version: '4', address: '10.9.9.9/24', interface: 1 },
      { version: '4', address: '10.1.0.5/16', interface: 0 },
    ],
  },
  '1.0.0': {
    cniVersion: '1.0.0',
    interfaces: [
      { name: 'eth0', sandbox: '' },
      { name: 'eth0', sandbox: '/run/netns/x' },
    ],
    ips: [
      { address: '192.0.2.1/24', interface: 0 },
      { address: '10.1.0.5/16', interface: 1 },
    ],
    routes: [{ dst: '0.0.0.0/0' }],
  },
  '1.1.0': {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'eth0', sandbox: '/run/netns/x', mtu: 1450, socketPath: '', pciID: '' }],
    ips: [{ address: '10.1.0.5/32', interface: 0 }],
    routes: [{ dst: '0.0.0.0/0', mtu: 1400, priority: 1, scope: 0, table: 254 }],
  },
};

t.test('the pod’s addresses in the result of every version', async (t) => {
  for (const [version, result] of Object.entries(RESULTS)) {
    t.strictSame(podAddresses(result, 'eth0'), version === '0.3.1' ? ['10.1.0.5', 'fd00::5'] : ['10.1.0.5'], version);
  }
});

t.test('nonsense gives no address', async (t) => {
  for (const result of [undefined, null, 'x', [], {}, { ips: {} }, { ips: [null, 1, { address: 5 }, { address: 'x/1' }, {}] }]) {
    t.strictSame(podAddresses(result, 'eth0'), [], JSON.stringify(result));
  }
  t.strictSame(
    podAddresses({ ips: [{ address: '10.1.0.5/16' }, { address: '10.1.0.5/16', interface: 9 }], interfaces: 'x' }, 'eth0'),
    ['10.1.0.5'],
    'twice is once; a pointer to nothing points at the pod',
  );
});

t.test('errors', async (t) => {
  t.strictSame(parsePluginError('{"cniVersion":"1.0.0","code":7,"msg":"bad","details":"why"}'), { code: 7, msg: 'bad', details: 'why' });
  t.strictSame(parsePluginError('{"msg":"bad"}\n'), { code: 0, msg: 'bad', details: '' });
  for (const text of ['', 'panic', '[]', '{"code":7}', 'null', '{"msg":5}']) t.equal(parsePluginError(text), undefined, text);
});
