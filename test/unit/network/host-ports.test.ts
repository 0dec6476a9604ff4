import t from 'tap';
import type { AttachmentRow } from '../../../src/network/attachments.ts';
import { publishing, refuseTakenByPods } from '../../../src/network/host-ports.ts';
import type { PortMapping } from '../../../src/network/index.ts';

const map = (hostPort: number, hostIp = '', protocol: PortMapping['protocol'] = 'tcp'): PortMapping => ({
  protocol,
  hostPort,
  containerPort: 80,
  hostIp,
});
const row = (...portMappings: PortMapping[]): AttachmentRow => ({
  mode: 'cni',
  state: 'added',
  sandboxId: 'x',
  pod: { name: 'web', namespace: 'shop', uid: 'u' },
  netnsPath: '',
  portMappings,
  network: 'n',
  cniVersion: '1.0.0',
  plugins: [],
  args: '',
});

t.test('host port 0 publishes nothing', async (t) => {
  t.strictSame(publishing([map(0), map(80)]), [map(80)]);
});

t.test('two mappings meet when protocol and number are equal and one address covers the other', async (t) => {
  const meets: [PortMapping, PortMapping, boolean][] = [
    [map(80), map(80), true],
    [map(80), map(81), false],
    [map(80), map(80, '', 'udp'), false],
    [map(80, '10.0.0.1'), map(80), true],
    [map(80), map(80, '10.0.0.1'), true],
    [map(80, '10.0.0.1'), map(80, '10.0.0.1'), true],
    [map(80, '10.0.0.1'), map(80, '10.0.0.2'), false],
    [map(80, '0.0.0.0'), map(80, '10.0.0.2'), true],
  ];
  for (const [wanted, held, expected] of meets) {
    const check = (): void => refuseTakenByPods([wanted], [row(held)]);
    const name = `${JSON.stringify(wanted)} ${JSON.stringify(held)}`;
    if (expected) t.throws(check, { reason: 'HOST_PORT_CONFLICT', message: /taken by the pod shop\/web/ }, name);
    else t.doesNotThrow(check, name);
  }
});
