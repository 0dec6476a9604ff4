import '../../fixtures/private-netns.ts';
import { readdirSync, readFileSync } from 'node:fs';
import Long from 'long';
import t, { type Test } from 'tap';
import { leftBehind, machineState } from '../../../hack/lib/machine.ts';
import { cri, imageService, runtimeService } from '../../../src/gen/index.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { busyboxImage, Pods } from '../../fixtures/pods.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const registry = await startRegistry(t);
const image = await registry.pushImage('test/busybox', '1', busyboxImage());
const daemon = await startDaemon(t);
const { client } = daemon;
const pods = new Pods(daemon, image);
await pods.pull();
await client.call(runtimeService.RemovePodSandbox, { podSandboxId: await pods.run() }); // what the first pod makes for good is there

/** Runs `attempt`, which must be refused, and asserts that machine and lists are as before. */
async function refused(t: Test, expected: object, attempt: () => Promise<unknown>): Promise<void> {
  const before = await everything();
  await t.rejects(attempt(), expected as Error);
  t.same(leftBehind(before, await everything()), [], 'nothing is left behind');
}

async function everything(): Promise<string[]> {
  const { items } = await client.call(runtimeService.ListPodSandbox, {});
  const { containers } = await client.call(runtimeService.ListContainers, {});
  const { images } = await client.call(imageService.ListImages, {});
  return [
    ...machineState(),
    ...(items ?? []).map(({ id }) => `sandbox ${id}`),
    ...(containers ?? []).map(({ id }) => `container ${id}`),
    ...(images ?? []).map(({ id }) => `image ${id}`),
    ...files(daemon.state),
    ...files(`${daemon.root}/containers`),
    ...files(`${daemon.root}/layers`),
  ];
}

function files(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() && !entry.name.match(/^[0-9a-f]{64}$/) ? files(`${dir}/${entry.name}`) : [`file ${dir}/${entry.name}`],
    );
  } catch {
    return []; // not made
  }
}

t.test('unknown ids', async (t) => {
  const containerId = 'nope';
  const podSandboxId = 'nope';
  const gone = { name: 'CallError', status: 'NOT_FOUND', message: /removed or never existed/ };
  await refused(t, gone, () => client.call(runtimeService.PodSandboxStatus, { podSandboxId }));
  await refused(t, gone, () => client.call(runtimeService.ContainerStatus, { containerId }));
  await refused(t, gone, () => client.call(runtimeService.StartContainer, { containerId }));
  await refused(t, gone, () => client.call(runtimeService.ExecSync, { containerId, cmd: ['true'] }));
  await refused(t, gone, () => client.call(runtimeService.ReopenContainerLog, { containerId }));
  await refused(t, gone, () => client.call(runtimeService.ContainerStats, { containerId }));
  await refused(t, gone, () => client.call(runtimeService.PodSandboxStats, { podSandboxId }));
  await refused(t, gone, () => pods.create(podSandboxId, pods.container('a', 'true')));
  await client.call(runtimeService.StopContainer, { containerId });
  await client.call(runtimeService.RemoveContainer, { containerId });
  await client.call(runtimeService.StopPodSandbox, { podSandboxId });
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId });
  await client.call(imageService.RemoveImage, { image: { image: 'example.org/nope:1' } });
});

t.test('sandboxes that cannot be', async (t) => {
  const invalid = (words: RegExp) => ({ name: 'CallError', status: 'INVALID_ARGUMENT', message: words });
  const run = (change: cri.PodSandboxConfigInit) => () => pods.run(pods.sandbox(change));
  await refused(t, invalid(/metadata/), () => client.call(runtimeService.RunPodSandbox, { config: {} }));
  await refused(t, invalid(/hostname/), run({ hostname: 'x'.repeat(65) }));
  await refused(t, invalid(/vm\.swappiness/), run({ linux: { sysctls: { 'vm.swappiness': '1' } } }));
  await refused(t, invalid(/net\.core\.nope/), run({ linux: { sysctls: { 'net.core.nope': '1' } } }));
  await refused(t, invalid(/run_as_group/), run({ linux: { securityContext: { runAsGroup: { value: Long.ONE } } } }));
  await refused(t, invalid(/port/), run({ portMappings: [{ containerPort: 70000, hostPort: 1 }] }));
  await refused(t, invalid(/slice/), run({ linux: { cgroupParent: '/a/b.slice' } }));
  await refused(t, { name: 'CallError', reason: 'UNKNOWN_RUNTIME_HANDLER', message: /"?nope"?/ }, () =>
    client.call(runtimeService.RunPodSandbox, { config: pods.sandbox(), runtimeHandler: 'nope' }),
  );
  const config = pods.sandbox();
  const id = await pods.run(config);
  await refused(t, { name: 'CallError', status: 'ALREADY_EXISTS', reason: 'SANDBOX_EXISTS' }, () =>
    pods.run({ ...config, labels: { other: 'pod' } }),
  );
  t.equal(await pods.run(config), id, 'the same pod asked for again is the same sandbox: an answer may have been lost');
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: id });
});

t.test('containers that cannot be', async (t) => {
  const sandbox = await pods.run();
  const create = (change: cri.ContainerConfigInit) => () => pods.create(sandbox, pods.container('a', 'true', change));
  await refused(
    t,
    { name: 'CallError', status: 'NOT_FOUND', reason: 'IMAGE_NOT_FOUND', message: /pull it first/ },
    create({ image: { image: 'example.org/none:1' } }),
  );
  await refused(t, { name: 'CallError', status: 'INVALID_ARGUMENT', message: /metadata/ }, create({ metadata: null }));
  await refused(
    t,
    { name: 'CallError', status: 'INVALID_ARGUMENT', message: /capability/i },
    create({ linux: { securityContext: { capabilities: { addCapabilities: ['NOT_A_CAP'] } } } }),
  );
  await refused(
    t,
    { message: /\/no\/such\/profile/ },
    create({
      linux: {
        securityContext: { seccomp: { profileType: cri.SecurityProfile.ProfileType.Localhost, localhostRef: '/no/such/profile.json' } },
      },
    }),
  );
  await refused(t, { message: /nobody-here/ }, create({ linux: { securityContext: { runAsUsername: 'nobody-here' } } }));

  const map = { hostId: 100_000, containerId: 0, length: 65_536 };
  const unoffered = { name: 'CallError', status: 'UNIMPLEMENTED' };
  await refused(t, { ...unoffered, message: /vendor\.com\/gpu=0/ }, create({ CDIDevices: [{ name: 'vendor.com/gpu=0' }] }));
  await refused(
    t,
    { ...unoffered, message: /user namespace/ },
    create({
      linux: { securityContext: { namespaceOptions: { usernsOptions: { mode: cri.NamespaceMode.POD, uids: [map], gids: [map] } } } },
    }),
  );

  const missing = await pods.create(sandbox, pods.container('missing', '', { command: ['/no/such/program'] }));
  await t.rejects(client.call(runtimeService.StartContainer, { containerId: missing }), {
    name: 'CallError',
    reason: 'START_FAILED',
    message: /\/no\/such\/program.*no such file or directory; check the command/,
  });
  t.match(await pods.status(missing), {
    state: cri.ContainerState.CONTAINER_EXITED,
    exitCode: 128,
    reason: 'StartError',
    message: /\/no\/such\/program/,
  });
  const unstarted = await pods.create(sandbox, pods.container('unstarted', '', { command: ['/no/such/program'] }));
  await client.call(runtimeService.StopContainer, { containerId: unstarted });
  t.match(await pods.status(unstarted), { reason: 'StartError' });
  for (const containerId of [missing, unstarted]) await client.call(runtimeService.RemoveContainer, { containerId });

  const first = await pods.create(sandbox, pods.container('a', 'sleep 1000'));
  await refused(t, { name: 'CallError', status: 'ALREADY_EXISTS', reason: 'CONTAINER_EXISTS' }, create({}));
  await client.call(runtimeService.StartContainer, { containerId: first });
  await refused(t, { name: 'CallError', reason: 'EXEC_FAILED', message: /\/nope/ }, () => pods.exec(first, '/nope'));
  await refused(t, { name: 'CallError', status: 'INVALID_ARGUMENT' }, () => pods.exec(first));
  await refused(t, { name: 'CallError', status: 'DEADLINE_EXCEEDED', reason: 'EXEC_TIMEOUT' }, () =>
    client.call(runtimeService.ExecSync, { containerId: first, cmd: ['sh', '-c', 'sleep 777 & sleep 778'], timeout: Long.fromNumber(1) }),
  );
  t.notMatch(processTitles(), /sleep 77[78]/, 'the whole tree of a timed-out command is gone');
  await client.call(runtimeService.StopPodSandbox, { podSandboxId: sandbox });
  await refused(
    t,
    { name: 'CallError', status: 'FAILED_PRECONDITION', reason: 'SANDBOX_NOT_READY' },
    create({ metadata: { name: 'b', attempt: 0 } }),
  );
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: sandbox });
});

t.test('images that cannot be had', async (t) => {
  const pull = (name: string) => () => client.call(imageService.PullImage, { image: { image: name } });
  await refused(t, { name: 'CallError', status: 'INVALID_ARGUMENT', reason: 'IMAGE_REFERENCE' }, pull('Not A Name'));
  await refused(
    t,
    { name: 'CallError', reason: 'IMAGE_NOT_IN_REGISTRY', message: new RegExp(`${registry.host}/test/none:1.*not found`) },
    pull(`${registry.host}/test/none:1`),
  );
  await refused(
    t,
    { name: 'CallError', status: 'UNKNOWN', reason: 'REGISTRY_UNAVAILABLE', message: /^RegistryUnavailable: .*127\.0\.0\.1:9/ },
    pull('127.0.0.1:9/a/b:1'),
  );
  await refused(t, { name: 'CallError', status: 'INVALID_ARGUMENT' }, pull(''));
});

t.test('what is not offered yet says so by name', async (t) => {
  await refused(t, { name: 'CallError', status: 'UNIMPLEMENTED', message: /CheckpointContainer/ }, () =>
    client.call(runtimeService.CheckpointContainer, {}),
  );
  await refused(t, { name: 'CallError', status: 'UNIMPLEMENTED', message: /PortForward/ }, () =>
    client.call(runtimeService.PortForward, {}),
  );
});

function processTitles(): string {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return ''; // gone meanwhile
      }
    })
    .join('\n');
}
