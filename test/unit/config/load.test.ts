// Order of sources, and the words for everything that is not understood.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type LoadOptions, loadConfig } from '../../../src/config/index.ts';
import { isRuntimeError } from '../../../src/errors/index.ts';

/** Writes files below a fresh directory; answers a function from name to path. */
function files(t: Test, contents: Record<string, string>): (name: string) => string {
  const dir = t.testdir();
  for (const [name, text] of Object.entries(contents)) {
    mkdirSync(join(dir, name, '..'), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return (name) => join(dir, name);
}

function refused(t: Test, options: LoadOptions, message: string | RegExp): void {
  try {
    loadConfig(options);
    t.fail(`not refused: ${message}`);
  } catch (error) {
    t.ok(isRuntimeError(error, 'CONFIG_INVALID') && error.kind === 'invalid');
    if (typeof message === 'string') t.equal((error as Error).message, message);
    else t.match((error as Error).message, message);
  }
}

t.test('later sources win: file, drop-ins in lexical order, overrides', async (t) => {
  const at = files(t, {
    'config.toml': 'root = "/file"\n[network]\nmtu = 1400\nbridge = "file0"\n[log]\nlevel = "warn"',
    'conf.d/20-b.toml': '[network]\nbridge = "twenty0"',
    'conf.d/10-a.toml': '[network]\nbridge = "ten0"\nmtu = 1300',
    'conf.d/30-not-toml.txt': 'garbage',
  });
  const { config, files: read } = loadConfig({
    file: at('config.toml'),
    dir: at('conf.d'),
    overrides: ['log.level=debug', 'log.level=trace'],
  });
  t.same(read, [at('config.toml'), at('conf.d/10-a.toml'), at('conf.d/20-b.toml')]);
  t.equal(config.root, '/file');
  t.equal(config.network.bridge, 'twenty0');
  t.equal(config.network.mtu, 1300);
  t.equal(config.log.level, 'trace');
  t.equal(config.state, '/run/berth', 'what no source gives keeps its default');
});

t.test('lists are replaced, lists of tables are merged by their identity', async (t) => {
  const at = files(t, {
    'config.toml':
      'images.pinned = ["a", "b"]\n[[runtime.handlers]]\nname = "one"\npath = "/a"\n[[runtime.handlers]]\nname = "two"\npath = "/b"',
    'conf.d/a.toml':
      'images.pinned = ["c"]\n[[runtime.handlers]]\nname = "one"\npath = "/c"\n[[runtime.handlers]]\nname = "three"\npath = "d"',
  });
  const { images, runtime } = loadConfig({ file: at('config.toml'), dir: at('conf.d') }).config;
  t.same(images.pinned, ['c']);
  t.same(runtime.handlers, [
    { name: 'one', path: '/c' },
    { name: 'two', path: '/b' },
    { name: 'three', path: 'd' },
  ]);
});

t.test('handlers of a file take the place of the built-in ones', async (t) => {
  const at = files(t, { 'c.toml': '[[runtime.handlers]]\nname = "youki"\npath = "/opt/youki"' });
  t.same(loadConfig({ file: at('c.toml') }).config.runtime.handlers, [{ name: 'youki', path: '/opt/youki' }]);
});

t.test('a named file alone is read: no drop-ins of the system', async (t) => {
  const at = files(t, { 'c.toml': '' });
  t.same(loadConfig({ file: at('c.toml') }).files, [at('c.toml')]);
});

t.test('a named file or directory must exist', async (t) => {
  const dir = t.testdir();
  refused(t, { file: join(dir, 'no.toml') }, /no\.toml: cannot be read: ENOENT.*; name a file that exists/);
  refused(t, { file: '/dev/null', dir: join(dir, 'no.d') }, /no\.d: cannot be read: ENOENT/);
});

t.test('overrides: strings are taken as they are, the rest is TOML', async (t) => {
  const overrides = ['socket=/a=b', 'network.mtu=9000', 'network.embedded=false', 'images.pinned=["x","y"]', 'metrics.address='];
  const { config } = loadConfig({ file: '/dev/null', overrides });
  t.equal(config.socket, '/a=b');
  t.equal(config.network.mtu, 9000);
  t.equal(config.network.embedded, false);
  t.same(config.images.pinned, ['x', 'y']);
  t.equal(config.metrics.address, '');
});

t.test('what is not understood is refused in words', async (t) => {
  const set = (override: string, message: string | RegExp): void => refused(t, { file: '/dev/null', overrides: [override] }, message);
  set('network.pod_cdir=1', '--set: network.pod_cdir is not a key (did you mean network.pod_cidr?); docs/configuration.md lists them all');
  set('lgo.level=info', '--set: lgo.level is not a key (did you mean log.level?); docs/configuration.md lists them all');
  set('zzz=1', '--set: zzz is not a key; docs/configuration.md lists them all');
  set('nonsense', '--set nonsense: is not KEY=VALUE; write for example --set log.level=debug');
  set('network.mtu=abc', '--set: network.mtu = "abc" is not allowed; allowed is an integer from 1280 to 65535 (bytes)');
  set('network.mtu=100', '--set: network.mtu = 100 is not allowed; allowed is an integer from 1280 to 65535 (bytes)');
  set('network.mtu=1500.5', /not allowed/);
  set('log.level=loud', /allowed is one of "trace", "debug", "info", "warn", "error", "silent"$/);
  set('socket=relative', /an absolute path of at most 107 bytes$/);
  set(`socket=/${'x'.repeat(107)}`, /an absolute path of at most 107 bytes$/);
  set('runtime.conmon=bin/conmon', /a program name without slashes, or an absolute path$/);
  set('runtime.handlers=1', '--set: runtime.handlers = 1 is not allowed; it is a list of tables: write [[runtime.handlers]]');
  set('runtime.default_handler=kata', 'configuration: runtime.default_handler = "kata" is not one of runtime.handlers: "crun", "runc"');
  set('state=/var/lib/berth', 'configuration: root and state are both "/var/lib/berth"; they must be different directories');
});

t.test('values with a form of their own', async (t) => {
  const accepts = (key: string, value: string, good: boolean): void => {
    const load = (): unknown => loadConfig({ file: '/dev/null', overrides: [`${key}=${value}`] });
    if (good) t.doesNotThrow(load, `${key}=${value}`);
    else t.throws(load, { name: 'RuntimeError' }, `${key}=${value}`);
  };
  for (const good of ['10.0.0.0/8', '10.1.0.0/16,fd00::/64', 'fd00::/112', '10.0.0.0/30']) accepts('network.pod_cidr', good, true);
  for (const bad of ['', '10.0.0.0', '10.0.0.0/31', '10.0.0.0/16,10.1.0.0/16', 'fd00::/8', '10.0.0.0/16/1', 'x/16', '300.0.0.0/16']) {
    accepts('network.pod_cidr', bad, false);
  }
  for (const good of ['', '127.0.0.1:0', '[::1]:9477', '0.0.0.0:65535']) accepts('metrics.address', good, true);
  for (const bad of ['9477', 'localhost:9477', '127.0.0.1:65536', '127.0.0.1', ':80']) accepts('metrics.address', bad, false);
  for (const good of ['/berth', '/a/b.slice', 'pods.slice']) accepts('cgroup.default_parent', good, true);
  for (const bad of ['', '/', 'berth', '/a/../b', '/a b']) accepts('cgroup.default_parent', bad, false);
  for (const bad of ['', 'sixteencharsname', 'a/b', '.']) accepts('network.bridge', bad, false);
  accepts('images.pinned', '[1]', false);
  accepts('network.cni_bin_dirs', '["relative"]', false);
});

t.test('a file’s mistakes name the file, the place and the way out', async (t) => {
  const at = files(t, {
    'broken.toml': 'root = "/x"\nlog = {',
    'key.toml': '[runtime]\ncommon = "x"',
    'section.toml': 'network = 5',
    'row.toml': '[[runtime.handlers]]\nname = "a"\npahth = "x"',
    'needs.toml': '[[runtime.handlers]]\npath = "x"',
    'column.toml': '[[runtime.handlers]]\nname = "A_b"\npath = "x"',
    'proto.toml': '__proto__ = 1',
  });
  refused(t, { file: at('broken.toml') }, /broken\.toml: line 2, column \d+ is not TOML: /);
  refused(t, { file: at('key.toml') }, /key\.toml: runtime\.common is not a key \(did you mean runtime\.conmon\?\)/);
  refused(t, { file: at('section.toml') }, /section\.toml: network = 5 is not allowed; network is a section: write \[network\]$/);
  refused(t, { file: at('row.toml') }, /runtime\.handlers\[0\]\.pahth is not a key \(did you mean path\?\); allowed are name, path$/);
  refused(t, { file: at('needs.toml') }, /runtime\.handlers\[0\] lacks name, which every \[\[runtime\.handlers\]\] needs: a DNS label/);
  refused(t, { file: at('column.toml') }, /runtime\.handlers\[0\]\.name = "A_b" is not allowed; allowed is a DNS label/);
  refused(t, { file: at('proto.toml') }, /proto\.toml: /);
});
