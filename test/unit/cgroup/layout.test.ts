import t from 'tap';
import { detectLayout } from '../../../src/cgroup/layout.ts';

const V2 = '31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n';
const TMPFS = '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n';
const JOINT = '33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n';
const MEMORY = '34 31 0:31 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n';
const NAMED = '40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n';
const UNIFIED = '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n';

const detect = (mountinfo: string, controllers = '') => detectLayout(mountinfo, '/sys/fs/cgroup', () => controllers);

t.test('v2', async (t) => {
  t.same(detect(V2, 'cpuset cpu io memory pids\n'), {
    mode: 'v2',
    unified: '/sys/fs/cgroup',
    legacy: {},
    controllers: ['cpuset', 'cpu', 'io', 'memory', 'pids'],
  });
});

t.test('v1, with two controllers on one mount', async (t) => {
  t.same(detect(TMPFS + JOINT + MEMORY), {
    mode: 'v1',
    legacy: { cpu: '/sys/fs/cgroup/cpu,cpuacct', cpuacct: '/sys/fs/cgroup/cpu,cpuacct', memory: '/sys/fs/cgroup/memory' },
    controllers: ['cpu', 'cpuacct', 'memory'],
  });
});

t.test('hybrid: a named hierarchy is no controller', async (t) => {
  const layout = detect(TMPFS + JOINT + NAMED + UNIFIED);
  t.equal(layout.mode, 'hybrid');
  t.equal(layout.unified, '/sys/fs/cgroup/unified');
  t.equal(layout.legacy['name=systemd'], '/sys/fs/cgroup/systemd');
  t.same(layout.controllers, ['cpu', 'cpuacct']);
});

t.test('a named v1 hierarchy beside v2 leaves it v2', async (t) => {
  t.equal(detect(NAMED + UNIFIED, 'cpu').mode, 'v2');
});

t.test('mounts elsewhere do not count, and an octal escape is undone', async (t) => {
  t.throws(() => detect(V2.replaceAll('/sys/fs/cgroup', '/mnt/cgroup')), {
    name: 'RuntimeError',
    reason: 'CGROUP_FAILED',
    kind: 'precondition',
  });
  t.throws(() => detect(''), { name: 'RuntimeError', reason: 'CGROUP_FAILED' });
  const odd = detectLayout(V2.replace('/sys/fs/cgroup', '/tmp/a\\040b'), '/tmp/a b', () => 'cpu');
  t.equal(odd.unified, '/tmp/a b');
});

t.test('what a later mount hides does not count, what is mounted upon that does', async (t) => {
  const root = '20 20 0:2 / / rw - rootfs rootfs rw\n';
  const sys = '23 20 0:21 / /sys rw - sysfs sysfs rw\n';
  const hidden = root + sys + TMPFS + MEMORY + UNIFIED;
  const cover = '50 31 0:40 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n';
  const above = JOINT.replace('33 31', '51 50');
  t.equal(detect(hidden).mode, 'hybrid');
  t.equal(detect(hidden.replace('20 20', '20 7')).mode, 'hybrid', 'the root’s parent is out of sight in a mount namespace');
  t.same(detect(hidden + cover + above), {
    mode: 'v1',
    legacy: { cpu: '/sys/fs/cgroup/cpu,cpuacct', cpuacct: '/sys/fs/cgroup/cpu,cpuacct' },
    controllers: ['cpu', 'cpuacct'],
  });
  t.throws(
    () => detect(`${hidden}60 23 0:41 / /sys/fs rw - tmpfs tmpfs rw\n`),
    { name: 'RuntimeError', reason: 'CGROUP_FAILED' },
    'a directory above it',
  );
  t.throws(
    () => detect(`${hidden}61 23 0:42 / /sys rw - sysfs sysfs rw\n`),
    { name: 'RuntimeError', reason: 'CGROUP_FAILED' },
    'its whole file system',
  );
  t.equal(detect(`${hidden}62 31 0:43 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n`, 'cpu').mode, 'v2', 'a new hierarchy over the old ones');
});
