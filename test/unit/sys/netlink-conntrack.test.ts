import t from 'tap';
import { attribute, byteAttribute, nested } from '../../../src/sys/netlink-codec.ts';
import { decodeUdpFlow, deleteFlow, dumpUdpFlows } from '../../../src/sys/netlink-conntrack.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

// A flow 192.0.2.2:4000 to 192.0.2.1:5353, answered by the pod 10.88.0.2:53.
const tuple = (protocol: number, source: number[], from: number, to: number): Buffer =>
  Buffer.concat([
    nested(1 | 0x8000, attribute(source.length === 4 ? 1 : 3, Uint8Array.from(source)), attribute(2, Uint8Array.of(192, 0, 2, 1))),
    nested(
      2 | 0x8000,
      byteAttribute(1, protocol),
      attribute(2, Uint8Array.of(from >> 8, from & 255)),
      attribute(3, Uint8Array.of(to >> 8, to & 255)),
    ),
  ]);
const payload = (protocol: number, answeredBy: number[]): Buffer =>
  Buffer.concat([
    Buffer.from([2, 0, 0, 0]),
    nested(1 | 0x8000, tuple(protocol, [192, 0, 2, 2], 4000, 5353)),
    nested(2 | 0x8000, tuple(protocol, answeredBy, 53, 4000)),
  ]);

t.test('a UDP flow: the port it was sent to and who answers', async (t) => {
  const flow = decodeUdpFlow(payload(17, [10, 88, 0, 2]));
  t.match(flow, { port: 5353, answeredBy: Uint8Array.of(10, 88, 0, 2) });
  t.equal(hex(flow!.tuple), hex(tuple(17, [192, 0, 2, 2], 4000, 5353)));
  t.equal(hex(deleteFlow(2, flow!).body), `02000000${hex(nested(1 | 0x8000, flow!.tuple))}`, 'and is removed by the tuple the kernel gave');
  t.equal(decodeUdpFlow(payload(17, new Array<number>(16).fill(7)))?.answeredBy.length, 16);
});

t.test('other flows and broken ones are none', async (t) => {
  t.equal(decodeUdpFlow(payload(6, [10, 88, 0, 2])), undefined);
  t.equal(decodeUdpFlow(Buffer.alloc(4)), undefined);
  t.equal(decodeUdpFlow(payload(17, [10, 88, 0, 2]).subarray(0, 20)), undefined);
});

t.test('the request for flows to a port', async (t) => {
  t.equal(
    hex(dumpUdpFlows(2, 5353).body),
    ['02000000', '18000180', '14000280', '0500010011000000', '0600030014e90000', '0c001980', '0800010028000000'].join(''),
  );
});
