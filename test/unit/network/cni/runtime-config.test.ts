import t from 'tap';
import { capabilityArguments, parseQuantity, withRuntimeConfig } from '../../../../src/network/cni/runtime-config.ts';
import type { AttachRequest } from '../../../../src/network/index.ts';

const request = (annotations: Record<string, string>): AttachRequest => ({
  sandboxId: 'id',
  netnsPath: '/x',
  pod: { name: 'n', namespace: 'ns', uid: 'u' },
  portMappings: [],
  annotations,
  cgroupPath: '',
});

t.test('what a pod does not ask for is absent', async (t) => {
  t.strictSame(capabilityArguments(request({}), [], []), {});
});

t.test('bandwidth from the annotations, in bits per second', async (t) => {
  const bandwidth = (annotations: Record<string, string>) => capabilityArguments(request(annotations), [], []).bandwidth;
  t.strictSame(bandwidth({ 'kubernetes.io/egress-bandwidth': '1Mi' }), { egressRate: 1_048_576, egressBurst: 2_147_483_647 });
  for (const text of ['', 'fast', '-1M', '999', '2P', '1MB', 'Infinity']) {
    t.throws(() => bandwidth({ 'kubernetes.io/ingress-bandwidth': text }), {
      reason: 'INVALID_ARGUMENT',
      message: `the annotation kubernetes.io/ingress-bandwidth is ${JSON.stringify(text)}; write bits per second between 1k and 1P, such as 10M`,
    });
  }
});

t.test('Kubernetes quantities', async (t) => {
  const quantities: [string, number | undefined][] = [
    ['1000', 1000],
    ['1.5k', 1500],
    ['.5M', 500_000],
    ['1e6', 1_000_000],
    ['1E3', 1000],
    ['2Gi', 2_147_483_648],
    ['1.0001k', 1001],
    ['', undefined],
    ['k', undefined],
    ['1K', undefined],
    ['1e6M', undefined],
  ];
  for (const [text, value] of quantities) t.equal(parseQuantity(text), value, text);
});

t.test('a plugin gets what it declares with true, and its other fields', async (t) => {
  const args = { portMappings: [1], dns: { servers: [] } };
  t.strictSame(withRuntimeConfig({ type: 'a', capabilities: { portMappings: true, dns: false, mac: true }, x: 1 }, args), {
    type: 'a',
    x: 1,
    runtimeConfig: { portMappings: [1] },
  });
  t.strictSame(withRuntimeConfig({ type: 'a', capabilities: { mac: true } }, args), { type: 'a' });
  t.strictSame(withRuntimeConfig({ type: 'a' }, args), { type: 'a' });
});
