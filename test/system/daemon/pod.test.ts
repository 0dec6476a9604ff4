import '../../fixtures/private-netns.ts';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import Long from 'long';
import t from 'tap';
import { cri, imageService, runtimeService } from '../../../src/gen/index.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { busyboxImage, Pods } from '../../fixtures/pods.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const registry = await startRegistry(t);
const built = busyboxImage();
const image = await registry.pushImage('test/busybox', '1', built);
const daemon = await startDaemon(t);
const { client } = daemon;
const pods = new Pods(daemon, image);

t.test('the runtime says who it is and that it is ready', async (t) => {
  const version = await client.call(runtimeService.Version, { version: '0.1.0' });
  t.match(version, { version: '0.1.0', runtimeName: 'berth', runtimeApiVersion: 'v1', runtimeVersion: /^\d+\.\d+\.\d+/ });
  const { status, runtimeHandlers, info } = await client.call(runtimeService.Status, { verbose: true });
  t.same(status?.conditions?.map(({ type, status }) => [type, status]).sort(), [
    ['NetworkReady', true],
    ['RuntimeReady', true],
  ]);
  t.ok(
    runtimeHandlers?.some(({ name }) => name === '' || name === undefined || name === null),
    'the default handler is listed',
  );
  t.equal(JSON.parse(info?.config ?? '{}').stateDir, daemon.state);
});

t.test('an image is pulled by tag and known by id, tag and digest', async (t) => {
  t.equal(await pods.pull(), built.id, 'the id is the digest of the config');
  const digest = `${image.replace(/:1$/, '')}@${built.manifest.descriptor.digest}`;
  for (const name of [image, digest, built.id, built.id.slice(7, 20)]) {
    const { image: found } = await client.call(imageService.ImageStatus, { image: { image: name } });
    t.match(found, { id: built.id, repoTags: [image], repoDigests: [digest] }, name);
    t.ok(Number(found?.size) > 0);
  }
  const { image: absent } = await client.call(imageService.ImageStatus, { image: { image: 'example.org/none:1' } });
  t.notOk(absent, 'an absent image is no error');
  const { imageFilesystems } = await client.call(imageService.ImageFsInfo, {});
  t.ok(existsSync(imageFilesystems?.[0]?.fsId?.mountpoint ?? ''));
  t.ok(Number(imageFilesystems?.[0]?.usedBytes?.value) > 0);
});

t.test('a pod runs, is seen from outside and inside, and ends clean', async (t) => {
  const config = pods.sandbox({
    labels: { app: 'web', 'odd/ключ': 'ü' },
    annotations: { 'a/b': 'с\n"x"' },
    dnsConfig: { servers: ['10.9.8.7'], searches: ['x.y'], options: ['ndots:2'] },
  });
  const sandbox = await pods.run(config);
  const { status } = await client.call(runtimeService.PodSandboxStatus, { podSandboxId: sandbox });
  t.match(status, { id: sandbox, state: cri.PodSandboxState.SANDBOX_READY, labels: config.labels, annotations: config.annotations });
  const ip = status?.network?.ip ?? '';
  t.match(ip, /^\d+\.\d+\.\d+\.\d+$/);

  const id = await pods.create(
    sandbox,
    pods.container('main', 'echo out; echo err >&2; httpd -f -p 80 -h /www', {
      envs: [{ key: 'GREETING', value: Buffer.from('grüß') }],
      labels: { c: '1' },
    }),
    config,
  );
  t.match(await pods.status(id), {
    state: cri.ContainerState.CONTAINER_CREATED,
    imageId: built.id,
    imageRef: new RegExp(built.manifest.descriptor.digest),
  });
  t.equal(Number((await pods.status(id)).startedAt ?? 0), 0);
  await t.rejects(pods.exec(id, 'true'), { name: 'CallError', status: 'FAILED_PRECONDITION' }, 'a created container runs no commands');
  await client.call(runtimeService.StartContainer, { containerId: id });
  const running = await pods.status(id);
  t.equal(running.state, cri.ContainerState.CONTAINER_RUNNING);
  t.equal(running.logPath, `${daemon.logDir}/${config.metadata?.name}/main.log`);
  await t.rejects(
    client.call(runtimeService.StartContainer, { containerId: id }),
    { name: 'CallError', reason: 'CONTAINER_STATE' },
    'a container is started once',
  );

  t.match(await pods.exec(id, 'hostname'), { code: 0, out: `${config.metadata?.name}\n` });
  t.match(await pods.exec(id, 'cat', '/etc/resolv.conf'), { out: 'nameserver 10.9.8.7\nsearch x.y\noptions ndots:2\n' });
  t.match((await pods.exec(id, 'env')).out, /FROM_IMAGE=1[\s\S]*GREETING=grüß|GREETING=grüß[\s\S]*FROM_IMAGE=1/);
  t.match(await pods.exec(id, 'sh', '-c', 'echo no >&2; exit 7'), { code: 7, out: '', err: 'no\n' });
  t.match(
    (await pods.exec(id, 'grep', '-E', 'NoNewPrivs|Seccomp:|CapBnd', '/proc/self/status')).out,
    /CapBnd:\t00000000a80425fb[\s\S]*Seccomp:\t0/,
    'capabilities as usual; no seccomp unless asked',
  );
  t.match((await pods.exec(id, 'stat', '-f', '-c', '%T', '/dev/shm')).out, /tmpfs/);
  t.match(await (await fetch(`http://${ip}/`)).text(), 'hello from berth');

  const log = readFileSync(running.logPath ?? '', 'utf8');
  t.match(log, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) stdout F out$/m);
  t.match(log, / stderr F err$/m);

  const { containers } = await client.call(runtimeService.ListContainers, { filter: { podSandboxId: sandbox, labelSelector: { c: '1' } } });
  t.same(
    containers?.map((container) => [container.id, container.image?.image !== undefined, container.imageId]),
    [[id, true, built.id]],
  );
  const { containers: none } = await client.call(runtimeService.ListContainers, { filter: { labelSelector: { c: '2' } } });
  t.same(none ?? [], []);

  await client.call(runtimeService.StopContainer, { containerId: id, timeout: Long.fromNumber(1) });
  const ended = await pods.status(id);
  t.match(ended, { state: cri.ContainerState.CONTAINER_EXITED, reason: 'Error' });
  t.ok(BigInt(String(ended.finishedAt)) >= BigInt(String(ended.startedAt)));
  await client.call(runtimeService.StopContainer, { containerId: id, timeout: Long.fromNumber(1) });

  await client.call(runtimeService.StopPodSandbox, { podSandboxId: sandbox });
  await client.call(runtimeService.StopPodSandbox, { podSandboxId: sandbox });
  const { status: stopped } = await client.call(runtimeService.PodSandboxStatus, { podSandboxId: sandbox });
  t.equal(stopped?.state, cri.PodSandboxState.SANDBOX_NOTREADY);
  await Promise.all([1, 2, 3].map(() => client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox })));
  await t.rejects(client.call(runtimeService.PodSandboxStatus, { podSandboxId: sandbox }), {
    name: 'CallError',
    status: 'NOT_FOUND',
    reason: 'SANDBOX_NOT_FOUND',
  });
  await t.rejects(client.call(runtimeService.ContainerStatus, { containerId: id }), {
    name: 'CallError',
    status: 'NOT_FOUND',
    reason: 'CONTAINER_NOT_FOUND',
  });
  t.notOk(existsSync(`${daemon.state}/sandboxes/${sandbox}`));
  t.notOk(existsSync(`${daemon.state}/ctr/${id}`));
  t.notOk(existsSync(`${daemon.root}/containers/${id}`));
});

t.test('containers of a pod share its network, ipc and, when asked, its processes', async (t) => {
  const namespaceOptions = { pid: cri.NamespaceMode.POD };
  const sandbox = await pods.run(pods.sandbox({ linux: { securityContext: { namespaceOptions } } }));
  const shared = { linux: { resources: {}, securityContext: { namespaceOptions } } };
  const first = await pods.start(sandbox, pods.container('first', 'nc -l -p 9000 -e echo pong & exec sleep 1000', shared));
  const second = await pods.start(sandbox, pods.container('second', 'exec sleep 1000', shared));
  t.match((await pods.exec(second, 'sh', '-c', 'nc 127.0.0.1 9000 </dev/null')).out, /pong/);
  const { out } = await pods.exec(first, 'sh', '-c', 'for p in /proc/[0-9]*; do cat $p/comm; done');
  t.match(out, /catatonit[\s\S]*sleep[\s\S]*sleep/, 'PID 1 is the pause process');
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
});

t.test('exit codes and reasons are exact', async (t) => {
  const sandbox = await pods.run();
  const [good, bad] = await Promise.all([
    pods.start(sandbox, pods.container('good', 'exit 0')),
    pods.start(sandbox, pods.container('bad', 'exit 41')),
  ]);
  t.match(await pods.exited(good), { exitCode: 0, reason: 'Completed' });
  t.match(await pods.exited(bad), { exitCode: 41, reason: 'Error' });
  const hog = pods.container('hog', 'x=a; while :; do x=$x$x; done', {
    linux: {
      resources: { memoryLimitInBytes: Long.fromNumber(16 * 1024 * 1024) },
      securityContext: { namespaceOptions: { pid: cri.NamespaceMode.CONTAINER } },
    },
  });
  t.match(await pods.exited(await pods.start(sandbox, hog)), { exitCode: 137, reason: 'OOMKilled', message: /limit of 16777216 bytes/ });
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
});

t.test('a stop sends the image’s or the usual signal, waits, and kills', async (t) => {
  const sandbox = await pods.run();
  const polite = await pods.start(sandbox, pods.container('polite', 'trap "exit 3" TERM; while :; do sleep 0.05; done'));
  const deaf = await pods.start(sandbox, pods.container('deaf', 'trap "" TERM; while :; do sleep 0.05; done'));
  await pods.exec(polite, 'echo');
  await client.call(runtimeService.StopContainer, { containerId: polite, timeout: Long.fromNumber(20) });
  t.match(await pods.status(polite), { exitCode: 3 });
  const slow = client.call(runtimeService.StopContainer, { containerId: deaf, timeout: Long.fromNumber(600) });
  await client.call(runtimeService.StopContainer, { containerId: deaf, timeout: Long.fromNumber(0) });
  await slow; // the second call moved the deadline of the first
  t.match(await pods.status(deaf), { exitCode: 137 });
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
});

/** What is served there, once somebody listens. */
async function answerOf(url: string): Promise<string> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await (await fetch(url)).text();
    } catch (error) {
      if (tries === 100) throw error;
      await delay(100);
    }
  }
}

t.test('a published port answers on the host', async (t) => {
  const sandbox = await pods.run(pods.sandbox({ portMappings: [{ containerPort: 80, hostPort: 18080 }] }));
  await pods.start(sandbox, pods.container('web', 'httpd -f -p 80 -h /www'));
  t.match(await answerOf('http://127.0.0.1:18080/'), 'hello from berth');
  await t.rejects(pods.run(pods.sandbox({ portMappings: [{ containerPort: 80, hostPort: 18080 }] })), {
    name: 'CallError',
    reason: 'HOST_PORT_CONFLICT',
  });
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
});

t.test('figures of a running container reach CRI stats and Prometheus', async (t) => {
  const config = pods.sandbox();
  const sandbox = await pods.run(config);
  const id = await pods.start(sandbox, pods.container('busy', 'dd if=/dev/zero of=/tmp/f bs=1M count=5; while :; do :; done'));
  await pods.exec(id, 'sleep', '0.3');
  const { stats } = await client.call(runtimeService.ContainerStats, { containerId: id });
  t.ok(Number(stats?.cpu?.usageCoreNanoSeconds?.value) > 50_000_000, 'a busy loop uses cpu');
  t.ok(Number(stats?.memory?.workingSetBytes?.value) > 0);
  const { stats: pod } = await client.call(runtimeService.PodSandboxStats, { podSandboxId: sandbox });
  t.equal(pod?.linux?.containers?.length, 1);
  t.equal(pod?.linux?.network?.defaultInterface?.name, 'eth0');
  const { stats: listed } = await client.call(runtimeService.ListContainerStats, {});
  t.same(
    listed?.map(({ attributes }) => attributes?.id),
    [id],
  );
  const text = await (await fetch(`${daemon.metricsUrl}/metrics/cadvisor`)).text();
  const line = text.split('\n').find((each) => each.startsWith('container_cpu_usage_seconds_total{') && each.includes('container="busy"'));
  t.match(line, new RegExp(`pod="${config.metadata?.name}"`));
  t.match(text, /container_network_receive_bytes_total\{[^}]*interface="eth0"/);
  const own = await (await fetch(`${daemon.metricsUrl}/metrics`)).text();
  t.match(
    own,
    /berth_rpc_[a-z_]*total\{[^}]*method="RunPodSandbox"[^}]*code="OK"\} \d+|berth_rpc_[a-z_]*total\{[^}]*code="OK"[^}]*method="RunPodSandbox"[^}]*\} \d+/,
  );
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
});

t.test('a log is reopened by name, and only while the container runs', async (t) => {
  const sandbox = await pods.run();
  const id = await pods.start(sandbox, pods.container('log', 'while :; do echo tick; sleep 0.02; done'));
  const { logPath } = await pods.status(id);
  const { renameSync } = await import('node:fs');
  renameSync(logPath ?? '', `${logPath}.old`);
  await client.call(runtimeService.ReopenContainerLog, { containerId: id });
  t.ok(existsSync(logPath ?? ''), 'the new file exists when the call returns');
  await client.call(runtimeService.StopContainer, { containerId: id, timeout: Long.fromNumber(0) });
  renameSync(logPath ?? '', `${logPath}.old`);
  await t.rejects(client.call(runtimeService.ReopenContainerLog, { containerId: id }), {
    name: 'CallError',
    reason: 'CONTAINER_NOT_RUNNING',
  });
  t.notOk(existsSync(logPath ?? ''), 'and nothing is made when it does not run');
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
});

t.test('the Stream* forms tell the same as the lists, then end', async (t) => {
  const sandbox = await pods.run();
  const id = await pods.start(sandbox, pods.container('one', 'exec sleep 1000'));
  const signal = new AbortController().signal;
  const seen: string[] = [];
  for await (const { containers } of client.stream(runtimeService.StreamContainers, {}, signal))
    seen.push(...(containers ?? []).map((each) => each.id ?? ''));
  for await (const { podSandboxes } of client.stream(runtimeService.StreamPodSandboxes, {}, signal))
    seen.push(...(podSandboxes ?? []).map((each) => each.id ?? ''));
  for await (const { images } of client.stream(imageService.StreamImages, {}, signal))
    seen.push(...(images ?? []).map((each) => each.id ?? ''));
  t.same(seen, [id, sandbox, built.id]);
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
});

t.test('the network’s, the host’s and the image’s ends meet: host network, user of the image', async (t) => {
  const namespaceOptions = { network: cri.NamespaceMode.NODE, pid: cri.NamespaceMode.CONTAINER };
  const sandbox = await pods.run(pods.sandbox({ hostname: '', linux: { securityContext: { namespaceOptions } } }));
  const { status } = await client.call(runtimeService.PodSandboxStatus, { podSandboxId: sandbox });
  t.equal(status?.network?.ip ?? '', '');
  t.equal(status?.linux?.namespaces?.options?.network, cri.NamespaceMode.NODE);
  const id = await pods.start(
    sandbox,
    pods.container('user', 'exec sleep 1000', { linux: { resources: {}, securityContext: { namespaceOptions, runAsUsername: 'web' } } }),
  );
  t.match((await pods.exec(id, 'id')).out, /uid=1000\(web\) gid=1000\(web\) groups=.*2000\(extra\)/);
  const { uid, gid } = (await pods.status(id)).user?.linux ?? {};
  t.same([Number(uid), Number(gid)], [1000, 1000]);
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
});
