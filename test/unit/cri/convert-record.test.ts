/** Records into answers. */
import t from 'tap';
import { containerStatusToWire, containerToWire } from '../../../src/cri/convert-container.ts';
import { authFromWire, imageToWire } from '../../../src/cri/convert-image.ts';
import { sandboxStatusToWire, sandboxToWire } from '../../../src/cri/convert-sandbox.ts';
import { containerStatsToWire, sandboxStatsToWire } from '../../../src/cri/convert-stats.ts';
import { EncodedList, embedded } from '../../../src/cri/encoded.ts';
import { fromLong } from '../../../src/cri/int64.ts';
import { infoJson } from '../../../src/cri/verbose.ts';
import { cri } from '../../../src/gen/index.ts';
import {
  CREATED_NS,
  cgroupStats,
  containerRecord,
  containerSpec,
  IMAGE_ID,
  imageRecord,
  sandboxRecord,
  sandboxSpec,
} from '../../fixtures/cri/services.ts';

const ODD = { 'a/b': 'ü中\u{1f680}\u0301', '': ' ', toString: 'own', 'x\ny': '\u2028' };

t.test('labels and annotations come back byte for byte', async (t) => {
  const sandbox = sandboxRecord('s', sandboxSpec('p', { labels: ODD, annotations: ODD }));
  const container = containerRecord('c', 's', { spec: containerSpec('m', { labels: ODD, annotations: ODD }) });
  for (const decoded of [
    cri.PodSandbox.decode(cri.PodSandbox.encode(sandboxToWire(sandbox)).finish()),
    cri.PodSandboxStatus.decode(cri.PodSandboxStatus.encode(sandboxStatusToWire(sandbox)).finish()),
    cri.Container.decode(cri.Container.encode(containerToWire(container)).finish()),
    cri.ContainerStatus.decode(cri.ContainerStatus.encode(containerStatusToWire(container)).finish()),
  ]) {
    t.same({ ...decoded.labels }, ODD);
    t.same({ ...decoded.annotations }, ODD);
    t.equal(fromLong(decoded.createdAt), CREATED_NS, 'to the nanosecond');
  }
});

t.test('a container’s status', async (t) => {
  const mounts = [
    {
      containerPath: '/dev/termination-log',
      hostPath: '/var/lib/kubelet/t',
      readonly: false,
      recursiveReadOnly: false,
      selinuxRelabel: false,
      propagation: 'private' as const,
      uidMappings: [],
      gidMappings: [],
      imageSubPath: '',
      options: ['nodev'],
    },
  ];
  const resources = { memoryLimitBytes: 1n << 40n, cpuQuota: -1n, oomScoreAdj: -997, hugepageLimits: [], unified: {} };
  const created = containerRecord('c', 's', { spec: containerSpec('m', { mounts, resources }) });
  delete (created as { startedAtNs?: bigint }).startedAtNs;
  const through = (record: typeof created) =>
    cri.ContainerStatus.decode(cri.ContainerStatus.encode(containerStatusToWire(record)).finish());
  const status = through(created);
  t.match(status, {
    state: cri.ContainerState.CONTAINER_CREATED,
    image: { image: 'docker.io/library/busybox:1' },
    imageId: IMAGE_ID,
    imageRef: /@sha256:b+$/,
    mounts: [{ containerPath: '/dev/termination-log', hostPath: '/var/lib/kubelet/t', mountOptions: ['nodev'] }],
    logPath: '/var/log/pods/main/0.log',
    stopSignal: cri.Signal.SIGNAL_SIGTERM,
    reason: '',
  });
  t.equal(fromLong(status.startedAt), 0n);
  t.equal(fromLong(status.resources!.linux!.memoryLimitInBytes), 1n << 40n);
  t.equal(fromLong(status.resources!.linux!.oomScoreAdj), -997n);
  t.same(status.user!.linux!.supplementalGroups.map(fromLong), [10n, 20n]);
  const exit = { exitCode: 128, finishedAtNs: 9n, reason: 'StartError' as const, message: 'no such file: /nope' };
  t.match(through({ ...created, exit }), { state: 2, exitCode: 128, reason: 'StartError', message: 'no such file: /nope' });
});

t.test('a sandbox on the node’s network has no address', async (t) => {
  const record = sandboxRecord('s', sandboxSpec('p', { namespaces: { network: 'node', pid: 'node', ipc: 'node' } }));
  delete (record as { network?: unknown }).network;
  const status = cri.PodSandboxStatus.decode(cri.PodSandboxStatus.encode(sandboxStatusToWire(record)).finish());
  t.match(status.network, { ip: '', additionalIps: [] });
  t.match(status.linux?.namespaces?.options, { network: 2, pid: 2, ipc: 2 });
});

t.test('an image’s user is a uid or a name, never both', async (t) => {
  for (const [user, uid, username] of [
    ['1000:1000', 1000n, ''],
    ['0', 0n, ''],
    ['www-data', undefined, 'www-data'],
    ['www-data:33', undefined, 'www-data'],
    ['', undefined, ''],
    ['1000x', undefined, '1000x'],
  ] as const) {
    const image = cri.Image.decode(cri.Image.encode(imageToWire(imageRecord({ config: { ...imageRecord().config, user } }))).finish());
    t.equal(image.uid === null ? undefined : fromLong(image.uid.value), uid, user);
    t.equal(image.username, username, user);
  }
});

t.test('credentials: nothing set is none', async (t) => {
  t.equal(authFromWire(null), undefined);
  t.equal(authFromWire(cri.AuthConfig.decode(cri.AuthConfig.encode({ serverAddress: 'r' }).finish())), undefined);
  t.match(authFromWire(cri.AuthConfig.decode(cri.AuthConfig.encode({ registryToken: 't' }).finish())), { registryToken: 't' });
});

t.test('stats: availability without a limit is 0, swap and pressure are kept', async (t) => {
  const { limitBytes: _, ...unlimited } = cgroupStats().memory;
  const record = containerRecord('c', 's');
  const stats = (memory: typeof unlimited & { limitBytes?: bigint }) =>
    cri.ContainerStats.decode(cri.ContainerStats.encode(containerStatsToWire({ record, cgroup: cgroupStats({ memory }) })).finish());
  t.equal(fromLong(stats(unlimited).memory!.availableBytes!.value), 0n);
  t.equal(fromLong(stats({ ...unlimited, limitBytes: 700n }).memory!.availableBytes!.value), 0n, 'never below 0');
  t.equal(fromLong(stats(unlimited).memory!.pageFaults!.value), 5n);
  t.equal(stats(unlimited).cpu!.usageNanoCores, null, 'the first sample has no rate');
  t.match(stats(unlimited).cpu!.psi!.Full, { Avg10: 1.5, Avg60: 0.5, Avg300: 0.25 });
  t.match(stats(unlimited).attributes, { id: 'c', metadata: { name: 'main' } });
  const pod = { record: sandboxRecord('s'), cgroup: undefined, interfaces: [], processCount: 0, containers: [] };
  const sandbox = cri.PodSandboxStats.decode(cri.PodSandboxStats.encode(sandboxStatsToWire(pod, 5n)).finish());
  t.ok(sandbox.linux, 'kubelet dereferences it');
  t.equal(sandbox.linux?.network, null);
});

t.test('a list encodes each record once, for as long as it lives', async (t) => {
  let encoded = 0;
  const list = new EncodedList<{ id: string }>((record) => {
    encoded += 1;
    return cri.PodSandbox.encode({ id: record.id }).finish();
  });
  const records = [{ id: 'a' }, { id: 'b' }];
  const ids = () => cri.ListPodSandboxResponse.decode(list.response(records)).items.map((item) => item.id);
  t.same(ids(), ['a', 'b']);
  t.same(ids(), ['a', 'b']);
  t.equal(encoded, 2);
  records[1] = { id: 'b2' };
  t.same(ids(), ['a', 'b2']);
  t.equal(encoded, 3);
  const raw = embedded(3, cri.ContainerStatus.encode({ id: 'x' }).finish());
  t.same(
    cri.PodSandboxStatusResponse.decode(raw).containersStatuses.map((status) => status.id),
    ['x'],
  );
});

t.test('verbose JSON keeps large numbers and bytes readable', async (t) => {
  t.equal(infoJson({ a: 5n, b: 2n ** 60n, c: Uint8Array.from([104, 105]) }), '{"a":5,"b":"1152921504606846976","c":"hi"}');
});
