import t from 'tap';
import { parseCapabilities } from '../../../src/sys/caps.ts';

const status = (bounding: string, permitted: string): string => `Name:\tnode\nCapPrm:\t${permitted}\nCapEff:\t0\nCapBnd:\t${bounding}\n`;

t.test('bits have the names of linux/capability.h', async (t) => {
  t.same([...parseCapabilities(status('0000000000000001', '1'))], ['CAP_CHOWN']);
  t.same([...parseCapabilities(status('0000000000200000', '200000'))], ['CAP_SYS_ADMIN']);
  t.same([...parseCapabilities(status('0000010000000000', '10000000000'))], ['CAP_CHECKPOINT_RESTORE']);
});

t.test('only what is both bounding and permitted counts', async (t) => {
  const all = parseCapabilities(status('000001ffffffffff', '000001ffffffffff'));
  t.equal(all.size, 41);
  const lacking = parseCapabilities(status('000001ffffffffff', '000001fffeffffff'));
  t.equal(lacking.size, 40);
  t.notOk(lacking.has('CAP_SYS_RESOURCE'));
});

t.test('unknown bits and a missing line give nothing', async (t) => {
  t.equal(parseCapabilities(status('8000000000000000', '8000000000000000')).size, 0);
  t.equal(parseCapabilities('Name:\tnode\n').size, 0);
});
