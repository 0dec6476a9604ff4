import t from 'tap';
import type { CgroupLayout } from '../../../src/cgroup/index.ts';
import type { ContainerRecord } from '../../../src/container/index.ts';
import { createLogger } from '../../../src/log/index.ts';
import { createMetrics, metricFamilies } from '../../../src/metrics/index.ts';
import type { SandboxSample } from '../../../src/stats/index.ts';
import { container, eth0, reading, sandbox } from '../../fixtures/samples.ts';

const V2: CgroupLayout = { mode: 'v2', unified: '/sys/fs/cgroup', legacy: {}, controllers: ['cpu', 'memory', 'io', 'pids', 'hugetlb'] };
const images = { list: () => [], fsUsage: () => ({ mountpoint: '/', usedBytes: 0n, inodesUsed: 0n }), pulls: () => [] };

async function scrape(pods: SandboxSample[], containers: ContainerRecord[], layout = V2): Promise<string> {
  using metrics = createMetrics({ version: '1', layout, log: createLogger({ level: 'silent' }) });
  const sampler = { sample: async () => pods };
  metrics.observe({ sandboxes: { list: () => [] }, containers: { list: () => containers }, images, sampler, events: { subscribers: 0 } });
  return metrics.cadvisor();
}

const exited = (id: string, attempt: number): ContainerRecord => {
  const record = container(id, 'p', { exit: { exitCode: 137, finishedAtNs: 1n, reason: 'OOMKilled', message: '' } });
  return { ...record, spec: { ...record.spec, metadata: { name: 'app', attempt } } };
};

/** Series of one family: labels text -> value. */
const series = (text: string, name: string): string[] => text.split('\n').filter((line) => line.startsWith(`${name}{`));

const BASE = 'container="c-a",id="/berth/berth-a",image="registry.example/app:1",name="a",namespace="default",pod="pod-p"';
const POD = 'container="POD",id="/berth/berth-p",image="",name="p",namespace="default",pod="pod-p"';

const pod = (change: Partial<SandboxSample> = {}): SandboxSample => ({
  record: sandbox('p'),
  cgroup: reading(),
  interfaces: [eth0()],
  processCount: 3,
  containers: [{ record: container('a', 'p'), cgroup: reading() }],
  ...change,
});

t.test('names, labels and float values are cAdvisor’s', async (t) => {
  const text = await scrape([pod()], [container('a', 'p')]);
  const has = (line: string) => t.ok(text.includes(`\n${line}\n`), line);
  has(`container_cpu_usage_seconds_total{${BASE},cpu="total"} 1.5`);
  has(`container_cpu_cfs_throttled_seconds_total{${BASE}} 0.03`);
  has(`container_memory_working_set_bytes{${BASE}} 900`);
  has(`container_memory_failures_total{${BASE},failure_type="pgmajfault",scope="container"} 3`);
  has(`container_fs_writes_bytes_total{${BASE},device="7:0"} 20`.replace('7:0', deviceName(text)));
  has(`container_network_receive_bytes_total{${POD},interface="eth0"} 100`);
  has(`container_start_time_seconds{${BASE}} 1699999004.5`);
  has(`container_pressure_cpu_waiting_seconds_total{${BASE}} 0.0025`);
  has(`container_pressure_io_stalled_seconds_total{${BASE}} 0.001`);
  has(`container_spec_memory_limit_bytes{${BASE}} 4096`);
  has(`container_threads{${BASE}} 5`);
  has(`container_processes{${BASE}} 2`);
  has('# TYPE container_cpu_usage_seconds_total counter');
  has('# TYPE container_memory_usage_bytes gauge');
  t.same(series(text, 'container_network_receive_bytes_total').length, 1, 'network stands on the pod’s row only');
  t.notMatch(text, /container_fs_usage_bytes|hugetlb/, 'no family without a value');
});

const deviceName = (text: string): string => /container_fs_writes_bytes_total\{.*device="([^"]+)"/.exec(text)?.[1] ?? '';

t.test('a pod with a cgroup of its own has a row with container="", others have not', async (t) => {
  const own = await scrape([pod({ cgroupPath: '/kubepods/podX', cgroup: reading(7_000_000_000n), pause: reading(1n) })], []);
  t.same(
    series(own, 'container_cpu_usage_seconds_total').map((line) => /container="([^"]*)",id="([^"]*)".* (\S+)$/.exec(line)?.slice(1)),
    [
      ['POD', '/berth/berth-p', '1e-9'],
      ['', '/kubepods/podX', '7'],
      ['c-a', '/berth/berth-a', '1.5'],
    ],
  );
  const shared = await scrape([pod()], []);
  t.notOk(shared.includes('container=""'));
});

t.test('an ended container still tells its out-of-memory kill, and restarts are counted by name', async (t) => {
  const running = container('a', 'p');
  const again = { ...running, spec: { ...running.spec, metadata: { name: 'app', attempt: 2 } } };
  const text = await scrape([pod({ containers: [{ record: again, cgroup: reading() }] })], [exited('x', 0), exited('y', 1), again]);
  t.same(
    series(text, 'container_oom_events_total').map((line) => /name="(\w+)".* (\d+)$/.exec(line)?.slice(1)),
    [
      ['a', '0'],
      ['x', '1'],
      ['y', '1'],
    ],
  );
  t.same(series(text, 'berth_container_restarts_total'), [
    'berth_container_restarts_total{container="app",namespace="default",pod="pod-p"} 2',
  ]);
  t.equal(series(text, 'container_memory_usage_bytes').length, 1, 'nothing else of the ended ones');
});

t.test('a controller the host lacks takes its families with it', async (t) => {
  const text = await scrape([pod()], [], { ...V2, controllers: ['cpu', 'pids'] });
  t.notMatch(text, /container_memory_usage_bytes|container_fs_reads_total/);
  t.match(text, /container_cpu_usage_seconds_total/);
  const legacy = await scrape([pod()], [], { mode: 'v1', legacy: {}, controllers: ['cpu', 'blkio'] });
  t.match(legacy, /container_fs_reads_total/);
});

t.test('labels are escaped', async (t) => {
  const record = container('a', 'p', { cgroupPath: '/a"b\\c\nd' });
  const text = await scrape([pod({ containers: [{ record, cgroup: reading() }] })], []);
  t.ok(text.includes('id="/a\\"b\\\\c\\nd"'));
});

t.test('every line is of the text format, every family is in the table', async (t) => {
  const text = await scrape([pod({ cgroupPath: '/x', pause: reading() })], [exited('x', 1)]);
  const families = new Map(metricFamilies().map((family) => [family.name, family]));
  for (const line of text.trimEnd().split('\n')) {
    if (line.startsWith('#')) continue;
    const match = /^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)+)\})? (-?[0-9.e+-]+)$/.exec(line);
    if (match === null) t.fail(line);
    const labels = [...(match?.[2] ?? '').matchAll(/([a-z_]+)="/g)].map(([, name]) => name);
    t.same(labels, families.get(match?.[1] ?? '')?.labels, line);
  }
});

t.test('the table: no name twice, help without a full stop, counters end in _total but for cAdvisor’s own', async (t) => {
  const families = metricFamilies();
  t.equal(new Set(families.map(({ name }) => name)).size, families.length);
  for (const { name, help, type } of families) {
    t.notMatch(help, /\.$/, name);
    if (type === 'counter' && name !== 'container_memory_failcnt') t.match(name, /_total$/);
    if (type !== 'counter' && name !== 'container_fs_inodes_total') t.notMatch(name, /_total$/);
  }
});

t.test('200 containers render without holding the event loop', async (t) => {
  const containers = Array.from({ length: 200 }, (_, i) => ({ record: container(`c${i}`, 'p'), cgroup: reading() }));
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  const text = await scrape([pod({ containers })], []);
  clearInterval(timer);
  t.equal(series(text, 'container_memory_usage_bytes').length, 200);
  t.ok(turns >= 3, `${turns} turns`);
});
