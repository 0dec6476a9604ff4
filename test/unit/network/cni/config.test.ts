import t from 'tap';
import { isLoopbackOnly, parseNetworkConfig } from '../../../../src/network/cni/config.ts';

const parse = (json: unknown) => parseNetworkConfig(typeof json === 'string' ? json : JSON.stringify(json), '/etc/cni/net.d/10-x.conf');

t.test('a list is taken as it is', async (t) => {
  const plugins = [
    { type: 'bridge', ipam: { type: 'host-local' } },
    { type: 'portmap', capabilities: { portMappings: true } },
  ];
  t.strictSame(parse({ cniVersion: '0.4.0', name: 'pods', disableCheck: true, plugins }), {
    name: 'pods',
    cniVersion: '0.4.0',
    source: '/etc/cni/net.d/10-x.conf',
    plugins,
  });
});

t.test('a single plugin is a list of one, without what is added for every run', async (t) => {
  t.strictSame(parse({ cniVersion: '1.0.0', name: 'p', type: 'ptp', mtu: 1400 }).plugins, [{ type: 'ptp', mtu: 1400 }]);
});

t.test('the newest version that both sides know', async (t) => {
  const version = (more: object) => parse({ name: 'p', type: 'ptp', ...more }).cniVersion;
  t.equal(version({ cniVersion: '0.3.1' }), '0.3.1');
  t.equal(version({ cniVersion: '1.0.0', cniVersions: ['0.4.0', '1.1.0', '2.0.0'] }), '1.1.0');
  t.equal(version({ cniVersion: '2.0.0', cniVersions: ['0.4.0', '2.0.0'] }), '0.4.0');
});

t.test('loopback alone is no pod network', async (t) => {
  t.ok(isLoopbackOnly(parse({ cniVersion: '1.0.0', name: 'lo', type: 'loopback' })));
  t.notOk(isLoopbackOnly(parse({ cniVersion: '1.0.0', name: 'x', plugins: [{ type: 'loopback' }, { type: 'ptp' }] })));
});

t.test('a broken file is named with what is wrong in it', async (t) => {
  const cases: [unknown, RegExp][] = [
    ['{', /it is not JSON \(/],
    ['[]', /it is not a JSON object/],
    ['null', /it is not a JSON object/],
    [{ cniVersion: '1.0.0', type: 'ptp' }, /"name" is missing/],
    [{ cniVersion: '1.0.0', name: '../x', type: 'ptp' }, /"name" is missing or has other characters/],
    [{ name: 'x', type: 'ptp' }, /"cniVersion" undefined is none of 0\.3\.0, 0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0/],
    [{ cniVersion: '0.2.0', name: 'x', type: 'ptp' }, /"cniVersion" "0\.2\.0" is none of/],
    [{ cniVersion: '1.0.0', name: 'x', plugins: {} }, /"plugins" is not a list/],
    [{ cniVersion: '1.0.0', name: 'x', plugins: [] }, /"plugins" is empty/],
    [{ cniVersion: '1.0.0', name: 'x', plugins: [{ type: 'a' }, { kind: 'b' }] }, /plugin 2 has no "type"/],
    [{ cniVersion: '1.0.0', name: 'x', plugins: [{ type: '../../bin/sh' }] }, /plugin 1 has no "type", or one with a "\/"/],
    [{ cniVersion: '1.0.0', name: 'x', plugins: ['a'] }, /plugin 1 has no "type"/],
    [{ cniVersion: '1.0.0', name: 'x' }, /plugin 1 has no "type"/],
  ];
  for (const [json, message] of cases) {
    t.throws(() => parse(json), { reason: 'CNI_CONFIG', kind: 'precondition', message });
    t.throws(() => parse(json), {
      message: /^the CNI configuration \/etc\/cni\/net\.d\/10-x\.conf is not usable: .*; correct or remove the file$/,
    });
  }
});
