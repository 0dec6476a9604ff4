import t from 'tap';
import type { PullProgress } from '../../../src/image/index.ts';
import { createLogger } from '../../../src/log/index.ts';
import { createMetrics } from '../../../src/metrics/index.ts';
import { layerProgress, pullProgress } from '../../fixtures/cri/services.ts';
import { container, sandbox } from '../../fixtures/samples.ts';

const layout = { mode: 'v2', legacy: {}, controllers: [] } as const;
const open = () =>
  createMetrics({ version: '0.1.0', layout: { ...layout, legacy: {}, controllers: [] }, log: createLogger({ level: 'silent' }) });

const NOTHING = {
  sandboxes: { list: () => [] },
  containers: { list: () => [] },
  images: { list: () => [], fsUsage: () => ({ mountpoint: '/', usedBytes: 12n, inodesUsed: 3n }), pulls: () => [] as PullProgress[] },
  sampler: { sample: async () => [] },
  events: { subscribers: 0 },
};

t.test('calls are counted by method and code, in flight goes up and down', async (t) => {
  using metrics = open();
  metrics.rpcObserver.started({ method: 'Status' });
  metrics.rpcObserver.started({ method: 'Status' });
  metrics.rpcObserver.ended({ method: 'Status', code: 'OK', seconds: 0.002 });
  const text = await metrics.own();
  t.match(text, /^berth_rpc_total\{method="Status",code="OK"\} 1$/m);
  t.match(text, /^berth_rpc_in_flight\{method="Status"\} 1$/m);
  t.match(text, /^berth_rpc_duration_seconds_bucket\{le="0.0025",method="Status"\} 1$/m);
  t.match(text, /^berth_rpc_duration_seconds_bucket\{le="0.001",method="Status"\} 0$/m);
  t.match(text, /^berth_rpc_duration_seconds_sum\{method="Status"\} 0.002$/m);
});

t.test('pulls, failures and phases', async (t) => {
  using metrics = open();
  metrics.pullObserver.pulled({ registry: 'r.example', bytes: 1000, seconds: 1.5, layersPulled: 2, layersShared: 3 });
  metrics.pullObserver.failed({ registry: 'r.example', reason: 'IMAGE_NOT_IN_REGISTRY' });
  metrics.phaseObserver('cgroup', 0.004);
  const text = await metrics.own();
  t.match(text, /^berth_image_pull_bytes_total\{registry="r.example"\} 1000$/m);
  t.match(text, /^berth_image_pull_layers_total\{source="shared"\} 3$/m);
  t.match(text, /^berth_image_pull_duration_seconds_count\{registry="r.example"\} 1$/m);
  t.match(text, /^berth_image_pull_failures_total\{registry="r.example",reason="IMAGE_NOT_IN_REGISTRY"\} 1$/m);
  t.match(text, /^berth_pod_start_phase_seconds_count\{phase="cgroup"\} 1$/m);
});

t.test('transfers, whether their pull succeeds or not', async (t) => {
  using metrics = open();
  const { transfer } = metrics.pullObserver;
  const registry = 'r.example';
  transfer({ kind: 'received', registry, mirror: false, bytes: 10 });
  transfer({ kind: 'received', registry, mirror: true, bytes: 32 });
  transfer({ kind: 'received', registry, mirror: true, bytes: 10 });
  transfer({ kind: 'downloaded', registry, seconds: 3 });
  transfer({ kind: 'unpacked', seconds: 4 });
  for (const kind of ['resumed', 'retried', 'retried', 'stalled'] as const) transfer({ kind, registry });
  for (const what of ['pull', 'layer', 'layer'] as const) transfer({ kind: 'joined', what });
  const lines = (await metrics.own()).split('\n');
  for (const line of [
    'berth_image_received_bytes_total{registry="r.example",source="registry"} 10',
    'berth_image_received_bytes_total{registry="r.example",source="mirror"} 42',
    'berth_image_layer_download_seconds_bucket{le="5",registry="r.example"} 1',
    'berth_image_layer_download_seconds_bucket{le="2.5",registry="r.example"} 0',
    'berth_image_layer_unpack_seconds_sum 4',
    'berth_image_downloads_resumed_total{registry="r.example"} 1',
    'berth_image_download_retries_total{registry="r.example"} 2',
    'berth_image_download_stalls_total{registry="r.example"} 1',
    'berth_image_pull_joins_total{what="pull"} 1',
    'berth_image_pull_joins_total{what="layer"} 2',
  ]) {
    t.ok(lines.includes(line), line);
  }
});

t.test('pulls under way', async (t) => {
  using metrics = open();
  const layers = [
    layerProgress({ state: 'downloading', totalBytes: 100, downloadedBytes: 40 }),
    layerProgress({ state: 'shared', totalBytes: 1000 }),
  ];
  const pulls = [
    pullProgress({ state: 'resolving' }),
    pullProgress({ layers }),
    pullProgress({ layers, state: 'done', endedAtNs: 5n }),
    pullProgress({ layers, state: 'failed', endedAtNs: 5n }),
  ];
  metrics.observe({ ...NOTHING, images: { ...NOTHING.images, pulls: () => pulls } });
  const lines = (await metrics.own()).split('\n');
  for (const line of [
    'berth_image_pulls_in_flight{state="resolving"} 1',
    'berth_image_pulls_in_flight{state="pulling"} 1',
    'berth_image_pulls_in_flight_bytes{part="downloaded"} 40',
    'berth_image_pulls_in_flight_bytes{part="total"} 100',
  ]) {
    t.ok(lines.includes(line), line);
  }
});

t.test('a user’s registries cannot fill the memory', async (t) => {
  using metrics = open();
  for (let i = 0; i < 200; i += 1) {
    metrics.pullObserver.failed({ registry: `r${i}`, reason: 'CANCELLED' });
    metrics.pullObserver.transfer({ kind: 'received', registry: `r${i}`, mirror: false, bytes: 1 });
  }
  const text = await metrics.own();
  t.match(text, /^berth_image_received_bytes_total\{registry="other",source="registry"\} 136$/m);
  t.equal(text.split('\n').filter((line) => line.startsWith('berth_image_pull_failures_total{')).length, 65);
  t.match(text, /registry="other",reason="CANCELLED"\} 136$/m);
});

t.test('objects by state come with observe(), zeros included', async (t) => {
  using metrics = open();
  t.notMatch(await metrics.own(), /^berth_sandboxes/m, 'nothing is claimed before');
  const pods = [sandbox('a'), sandbox('b', { stoppedAtNs: 1n })];
  metrics.observe({
    ...NOTHING,
    sandboxes: { list: () => pods },
    containers: { list: () => [container('c', 'a')] },
    events: { subscribers: 4, dropped: 2 },
  });
  const text = await metrics.own();
  for (const line of [
    'berth_sandboxes{state="ready"} 1',
    'berth_sandboxes{state="notready"} 1',
    'berth_containers{state="running"} 1',
    'berth_containers{state="exited"} 0',
    'berth_image_store_bytes 12',
    'berth_event_subscribers 4',
    'berth_event_streams_dropped_total 2',
  ]) {
    t.ok(text.split('\n').includes(line), line);
  }
});

t.test('the process', async (t) => {
  using metrics = open();
  const text = await metrics.own();
  t.match(text, new RegExp(`^berth_build_info\\{version="0.1.0",node="${process.version}"\\} 1$`, 'm'));
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  t.ok(value('process_resident_memory_bytes') > 1e7);
  t.ok(value('process_open_fds') >= 3);
  t.ok(value('process_cpu_seconds_total') > 0);
  t.ok(Math.abs(value('process_start_time_seconds') - (Date.now() / 1000 - process.uptime())) < 2);
});

t.test('a blocked event loop shows as lag', async (t) => {
  using metrics = open();
  await new Promise((resolve) => setTimeout(resolve, 60));
  for (const end = performance.now() + 150; performance.now() < end; );
  await new Promise((resolve) => setTimeout(resolve, 60));
  const max = Number(/^berth_event_loop_lag_seconds\{stat="max"\} (\S+)$/m.exec(await metrics.own())?.[1]);
  t.ok(max >= 0.1, `${max} s`);
});
