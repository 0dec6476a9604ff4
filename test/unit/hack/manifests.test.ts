// The files a node is set up from are accepted by those who read them.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loadConfig } from '../../../src/config/index.ts';

const MANIFESTS = new URL('../../../manifests/', import.meta.url).pathname;

t.test('the example configuration loads and changes no default', async (t) => {
  const empty = join(t.testdir({ 'config.toml': '' }), 'config.toml');
  t.same(loadConfig({ file: join(MANIFESTS, 'config.toml') }).config, loadConfig({ file: empty }).config);
});

t.test('crictl and kubelet are pointed at the default socket', async (t) => {
  const empty = join(t.testdir({ 'config.toml': '' }), 'config.toml');
  const endpoint = `unix://${loadConfig({ file: empty }).config.socket}\n`;
  for (const file of ['crictl.yaml', 'kubelet.yaml']) t.match(readFileSync(join(MANIFESTS, file), 'utf8'), endpoint, file);
});

t.test('Prometheus is pointed at the default metrics address', async (t) => {
  const empty = join(t.testdir({ 'config.toml': '' }), 'config.toml');
  t.match(readFileSync(join(MANIFESTS, 'prometheus.yaml'), 'utf8'), loadConfig({ file: empty }).config.metrics.address);
});

const hasSystemd = spawnSync('systemd-analyze', ['--version']).error === undefined;
t.test('systemd accepts the unit', { skip: hasSystemd ? false : 'systemd-analyze is not installed' }, async (t) => {
  const unit = readFileSync(join(MANIFESTS, 'berth.service'), 'utf8');
  const dir = t.testdir();
  const verify = (text: string) => {
    writeFileSync(join(dir, 'berth.service'), text);
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', join(dir, 'berth.service')], { encoding: 'utf8' });
    return { status, stderr: stderr.trim() };
  };
  // The program is not installed where tests run; everything else is checked as it is.
  t.same(verify(unit.replace('/usr/local/bin/berth', '/bin/true')), { status: 0, stderr: '' });
  t.match(verify(unit.replace('/usr/local/bin/berth', '/bin/true').replace(/^KillMode=/m, 'KilMode=')).stderr, 'KilMode');
});
