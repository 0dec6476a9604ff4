// Every key has the default it is documented with, and a name on disk that leads back to it.
import t from 'tap';
import { CONFIG_KEYS, CONFIG_SECTIONS, loadConfig, onDisk } from '../../../src/config/index.ts';

const DEFAULTS: Record<string, unknown> = {
  socket: '/run/berth/berth.sock',
  root: '/var/lib/berth',
  state: '/run/berth',
  'log.level': 'info',
  'runtime.default_handler': '',
  'runtime.handlers': [
    { name: 'crun', path: 'crun' },
    { name: 'runc', path: 'runc' },
  ],
  'runtime.conmon': 'conmon',
  'runtime.pause': 'catatonit',
  'runtime.pids_limit': 0,
  'cgroup.driver': 'auto',
  'cgroup.default_parent': '/berth',
  'network.cni_conf_dir': '/etc/cni/net.d',
  'network.cni_bin_dirs': ['/opt/cni/bin', '/usr/lib/cni', '/usr/libexec/cni'],
  'network.cni_timeout_ms': 120_000,
  'network.embedded': true,
  'network.bridge': 'berth0',
  'network.pod_cidr': '10.209.0.0/16',
  'network.mtu': 1500,
  'images.parallel_downloads': 3,
  'images.stall_floor_bytes_per_second': 1024,
  'images.stall_window_ms': 30_000,
  'images.keep_blobs': false,
  'images.hosts_dir': '/etc/berth/certs.d',
  'images.docker_config': '/root/.docker/config.json',
  'images.pinned': [],
  'images.import_dir': '/var/lib/berth/import',
  'metrics.address': '127.0.0.1:9477',
};

t.test('the table has exactly these keys with these defaults', async (t) => {
  const found = Object.fromEntries([...CONFIG_KEYS.values()].map(({ name, field }) => [name, field.default]));
  t.same(found, DEFAULTS);
});

t.test('every default is allowed by its own rule', async (t) => {
  for (const { name, field } of CONFIG_KEYS.values()) {
    if (field.shape === 'value') t.same(field.accept(field.default), field.default, name);
  }
});

t.test('a configuration without files is the defaults, each at its place', async (t) => {
  const { config, files } = loadConfig({ file: '/dev/null' });
  t.same(files, ['/dev/null']);
  for (const { name, place } of CONFIG_KEYS.values()) {
    const value = place.reduce<unknown>((at, step) => (at as Record<string, unknown>)[step], config);
    t.same(value, DEFAULTS[name], name);
    t.equal(place.map(onDisk).join('.'), name);
  }
});

t.test('a loaded configuration shares nothing with the table', async (t) => {
  loadConfig({ file: '/dev/null' }).config.runtime.handlers.length = 0;
  t.equal(loadConfig({ file: '/dev/null' }).config.runtime.handlers.length, 2);
});

t.test('every key and section is described', async (t) => {
  for (const section of CONFIG_SECTIONS) t.match(section.summary, /\.$/, section.name);
  for (const { name, field } of CONFIG_KEYS.values()) t.match(field.summary, /\.$/, name);
});
