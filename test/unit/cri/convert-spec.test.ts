/** Requests into specs: what is taken over, and that each bad field is refused by its name. */
import t, { type Test } from 'tap';
import { containerSpecFromWire } from '../../../src/cri/convert-container-spec.ts';
import { sandboxSpecFromWire } from '../../../src/cri/convert-sandbox-spec.ts';
import { timeoutSeconds } from '../../../src/cri/fields.ts';
import { toInt64, toUint64 } from '../../../src/cri/int64.ts';
import { cri } from '../../../src/gen/index.ts';
import { decodeRow, encodeRow } from '../../../src/store/codec.ts';

const ODD = { 'a/b': 'ü中\u{1f680}\u0301', '': ' ', toString: 'own', 'x\ny': '\u2028', long: 'z'.repeat(70_000) };

const metadata = { name: 'web', namespace: 'default', uid: 'u1', attempt: 2 };
const id = (value: bigint) => ({ value: toInt64(value) });

function sandbox(config: cri.PodSandboxConfigInit, runtimeHandler = '') {
  const bytes = cri.RunPodSandboxRequest.encode({ config: { metadata, hostname: 'web', ...config }, runtimeHandler }).finish();
  return sandboxSpecFromWire(cri.RunPodSandboxRequest.decode(bytes));
}

function container(config: cri.ContainerConfigInit) {
  const whole = { metadata: { name: 'main' }, image: { image: 'busybox' }, ...config };
  return containerSpecFromWire(cri.ContainerConfig.decode(cri.ContainerConfig.encode(whole).finish()));
}

/** Each case: a bad config and the start of the message. */
function refusals<C>(t: Test, convert: (config: C) => unknown, cases: [C, string][]): void {
  for (const [config, message] of cases) {
    t.throws(
      () => convert(config),
      { kind: 'invalid', reason: 'INVALID_ARGUMENT', message: new RegExp(`^${message.replaceAll(/[.[\]]/g, '\\$&')}`) },
      message,
    );
  }
}

t.test('a sandbox of kubelet’s', async (t) => {
  const spec = sandbox(
    {
      logDirectory: '/var/log/pods/x',
      dnsConfig: { servers: ['10.0.0.1'], searches: ['svc'], options: ['ndots:5'] },
      portMappings: [{ protocol: cri.Protocol.SCTP, containerPort: 80, hostPort: 8080, hostIp: '::1' }, { containerPort: 0 }],
      labels: ODD,
      annotations: ODD,
      linux: {
        cgroupParent: '/kubepods/pod1',
        sysctls: { 'net.ipv4.ip_forward': '1' },
        securityContext: {
          namespaceOptions: { pid: cri.NamespaceMode.CONTAINER },
          runAsUser: id(0n),
          runAsGroup: id(5n),
          supplementalGroups: [toInt64(7n)],
          seccomp: { profileType: cri.SecurityProfile.ProfileType.RuntimeDefault },
        },
        resources: { cpuShares: toInt64(1024n), memoryLimitInBytes: toInt64(9223372036854771712n), oomScoreAdj: toInt64(-998n) },
      },
    },
    'crun',
  );
  t.same(spec, {
    metadata,
    hostname: 'web',
    logDirectory: '/var/log/pods/x',
    dns: { servers: ['10.0.0.1'], searches: ['svc'], options: ['ndots:5'] },
    portMappings: [
      { protocol: 'sctp', containerPort: 80, hostPort: 8080, hostIp: '::1' },
      { protocol: 'tcp', containerPort: 0, hostPort: 0, hostIp: '' },
    ],
    labels: ODD,
    annotations: ODD,
    runtimeHandler: 'crun',
    cgroupParent: '/kubepods/pod1',
    sysctls: { 'net.ipv4.ip_forward': '1' },
    namespaces: { network: 'pod', pid: 'container', ipc: 'pod' },
    privileged: false,
    readonlyRootfs: false,
    runAsUser: 0,
    runAsGroup: 5,
    supplementalGroups: [7],
    seccomp: { type: 'runtime-default', localhostRef: '' },
    resources: { cpuShares: 1024n, memoryLimitBytes: 9223372036854771712n, oomScoreAdj: -998, hugepageLimits: [], unified: {} },
  });
  t.same(decodeRow(encodeRow(spec)), spec, 'it can be stored');
});

t.test('crictl’s smallest sandbox: hostname from the pod’s name, no linux part', async (t) => {
  t.match(sandbox({ hostname: '', metadata: { ...metadata, name: 'Nginx_sandbox-' } }), {
    hostname: 'Nginx-sandbox',
    namespaces: { network: 'pod', pid: 'pod', ipc: 'pod' },
  });
  const node = { securityContext: { namespaceOptions: { network: cri.NamespaceMode.NODE } } };
  t.equal(sandbox({ hostname: '', linux: node }).hostname, '', 'the node’s own name stands');
});

t.test('bad sandboxes', async (t) => {
  const security = (securityContext: cri.LinuxSandboxSecurityContextInit) => ({ linux: { securityContext } });
  const namespaces = (namespaceOptions: cri.NamespaceOptionInit) => security({ namespaceOptions });
  const line = { hostId: 65536, containerId: 0, length: 65536 };
  const users = (usernsOptions: cri.UserNamespaceInit) => namespaces({ usernsOptions });
  const SC = 'config.linux.security_context';
  refusals<cri.PodSandboxConfigInit>(t, sandbox, [
    [{ metadata: null }, 'config.metadata is missing'],
    [{ metadata: { ...metadata, name: '' } }, 'config.metadata.name is empty'],
    [{ metadata: { ...metadata, namespace: '' } }, 'config.metadata.namespace is empty'],
    [{ metadata: { ...metadata, uid: '' } }, 'config.metadata.uid is empty'],
    [{ hostname: 'x'.repeat(65) }, 'config.hostname is longer than 64'],
    [{ hostname: 'a b' }, 'config.hostname is a b'],
    [{ logDirectory: 'logs' }, 'config.log_directory is logs'],
    [{ dnsConfig: { servers: ['1.1.1.1\noptions x'] } }, 'config.dns_config.servers[0] contains a line break'],
    [{ portMappings: [{ containerPort: 80, hostPort: 70000 }] }, 'config.port_mappings[0].host_port is 70000'],
    [{ portMappings: [{ containerPort: 0, hostPort: 80 }] }, 'config.port_mappings[0].container_port is 0'],
    [{ portMappings: [{ containerPort: 80, protocol: 9 }] }, 'config.port_mappings[0].protocol is 9'],
    [{ portMappings: [{ containerPort: 80, hostIp: 'host' }] }, 'config.port_mappings[0].host_ip is host'],
    [security({ runAsGroup: id(1n) }), `${SC}.run_as_group is set without`],
    [security({ runAsUser: id(-1n) }), `${SC}.run_as_user is -1`],
    [security({ runAsUser: id(2n ** 32n - 1n) }), `${SC}.run_as_user is 4294967295`],
    [security({ supplementalGroups: [toInt64(2n ** 40n)] }), `${SC}.supplemental_groups[0] is`],
    [security({ seccomp: { profileType: 2, localhostRef: 'profile.json' } }), `${SC}.seccomp.localhost_ref is profile.json`],
    [security({ apparmor: { profileType: 2 } }), `${SC}.apparmor.localhost_ref is empty`],
    [namespaces({ network: cri.NamespaceMode.CONTAINER }), `${SC}.namespace_options.network is CONTAINER`],
    [namespaces({ ipc: 8 }), `${SC}.namespace_options.ipc is 8`],
    [namespaces({ pid: cri.NamespaceMode.TARGET }), `${SC}.namespace_options.target_id is empty`],
    [users({ mode: cri.NamespaceMode.CONTAINER }), `${SC}.namespace_options.userns_options.mode is CONTAINER`],
    [users({ mode: cri.NamespaceMode.TARGET }), `${SC}.namespace_options.userns_options.mode is TARGET`],
    [users({ uids: [line, line], gids: [line] }), `${SC}.namespace_options.userns_options.uids has 2 lines`],
    [users({ uids: [line], gids: [{ ...line, containerId: 1 }] }), `${SC}.namespace_options.userns_options.gids[0].container_id is not 0`],
    [{ linux: { resources: { cpuQuota: toInt64(-2n) } } }, 'config.linux.resources.cpu_quota is -2'],
    [{ linux: { resources: { oomScoreAdj: toInt64(1001n) } } }, 'config.linux.resources.oom_score_adj is 1001'],
    [{ linux: { overhead: { cpuShares: toInt64(-1n) } } }, 'config.linux.overhead.cpu_shares is -1'],
  ]);
  t.throws(() => sandboxSpecFromWire(cri.RunPodSandboxRequest.decode(new Uint8Array())), { message: 'config is missing' });
});

t.test('a container of kubelet’s', async (t) => {
  const value = Buffer.from([0xff, 0xfe, 0x80, 10, 0xc3]);
  const spec = container({
    metadata: { name: 'main', attempt: 4 },
    image: { image: 'sha256:1', userSpecifiedImage: 'busybox:1' },
    command: ['/bin/sh'],
    args: ['-c', ''],
    envs: [{ key: 'BYTES', value }, { key: 'EMPTY' }],
    mounts: [{ containerPath: '/dev/termination-log', hostPath: '/var/lib/kubelet/x', propagation: 2 }],
    devices: [{ hostPath: '/dev/fuse', permissions: 'rw' }],
    CDIDevices: [{ name: 'vendor.com/gpu=0' }],
    labels: ODD,
    annotations: ODD,
    logPath: 'main/4.log',
    tty: true,
    stopSignal: cri.Signal.SIGNAL_SIGUSR1,
    linux: {
      resources: {
        cpuQuota: toInt64(-1n),
        cpuPeriod: toInt64(100_000n),
        hugepageLimits: [{ pageSize: '2MB', limit: toUint64(0n) }],
        unified: { 'memory.oom.group': '1' },
        cpusetCpus: '0-1,3',
      },
      securityContext: {
        capabilities: { addCapabilities: ['NET_ADMIN'], dropCapabilities: ['ALL'] },
        runAsUsername: 'nobody',
        runAsGroup: id(3n),
        supplementalGroupsPolicy: cri.SupplementalGroupsPolicy.Strict,
        maskedPaths: ['/proc/kcore'],
        noNewPrivs: true,
      },
    },
  });
  t.same(spec.envs, [
    { key: 'BYTES', value: new Uint8Array(value) },
    { key: 'EMPTY', value: new Uint8Array() },
  ]);
  t.equal(spec.envs[0]!.value.constructor, Uint8Array, 'no Buffer: the store cannot keep one');
  t.match(spec, {
    metadata: { name: 'main', attempt: 4 },
    image: { image: 'sha256:1', userSpecifiedImage: 'busybox:1' },
    command: ['/bin/sh'],
    args: ['-c', ''],
    mounts: [{ containerPath: '/dev/termination-log', hostPath: '/var/lib/kubelet/x', propagation: 'bidirectional', readonly: false }],
    devices: [{ containerPath: '/dev/fuse', hostPath: '/dev/fuse', permissions: 'rw' }],
    cdiDevices: ['vendor.com/gpu=0'],
    logPath: 'main/4.log',
    tty: true,
    stopSignal: 'SIGUSR1',
    security: {
      runAsUsername: 'nobody',
      runAsGroup: 3,
      supplementalGroupsPolicy: 'strict',
      noNewPrivs: true,
      maskedPaths: ['/proc/kcore'],
    },
  });
  t.same(spec.resources, {
    cpuQuota: -1n,
    cpuPeriod: 100_000n,
    oomScoreAdj: 0,
    cpusetCpus: '0-1,3',
    hugepageLimits: [{ pageSize: '2MB', limitBytes: 0n }],
    unified: { 'memory.oom.group': '1' },
  });
  t.same(spec.labels, ODD);
  t.same(decodeRow(encodeRow(spec)), spec, 'it can be stored');
});

t.test('bad containers', async (t) => {
  const mount = { containerPath: '/x', hostPath: '/y' };
  const security = (securityContext: cri.LinuxContainerSecurityContextInit) => ({ linux: { securityContext } });
  refusals<cri.ContainerConfigInit>(t, container, [
    [{ metadata: null }, 'config.metadata is missing'],
    [{ metadata: {} }, 'config.metadata.name is empty'],
    [{ image: null }, 'config.image is missing'],
    [{ image: {} }, 'config.image.image is empty'],
    [{ command: ['a\0b'] }, 'config.command[0] contains a NUL byte'],
    [{ envs: [{ key: '' }] }, 'config.envs[0].key is empty'],
    [{ envs: [{ key: 'A=B' }] }, 'config.envs[0].key is A=B'],
    [{ envs: [{ key: 'A', value: Buffer.from([0]) }] }, 'config.envs[0].value of A contains a NUL byte'],
    [{ logPath: '../../etc/passwd' }, 'config.log_path is ../../etc/passwd'],
    [{ logPath: '/abs.log' }, 'config.log_path is /abs.log'],
    [{ mounts: [{ ...mount, containerPath: 'x' }] }, 'config.mounts[0].container_path is x'],
    [{ mounts: [{ ...mount, hostPath: '' }] }, 'config.mounts[0].host_path is empty'],
    [{ mounts: [{ ...mount, image: { image: 'i' } }] }, 'config.mounts[0] has both host_path and image'],
    [{ mounts: [{ ...mount, propagation: 7 }] }, 'config.mounts[0].propagation is 7'],
    [{ mounts: [{ ...mount, recursiveReadOnly: true }] }, 'config.mounts[0].recursive_read_only needs readonly'],
    [{ mounts: [{ ...mount, recursiveReadOnly: true, readonly: true, propagation: 1 }] }, 'config.mounts[0].recursive_read_only needs'],
    [{ mounts: [{ ...mount, mountOptions: ['suid'] }] }, 'config.mounts[0].mount_options has suid'],
    [{ mounts: [{ ...mount, uidMappings: [{}] }] }, 'config.mounts[0].uidMappings[0].length is 0'],
    [{ mounts: [{ containerPath: '/x', image: { image: 'i' }, imageSubPath: '../y' }] }, 'config.mounts[0].image_sub_path is ../y'],
    [{ devices: [{ hostPath: '/dev/null', permissions: 'rx' }] }, 'config.devices[0].permissions is rx'],
    [{ devices: [{ hostPath: 'null' }] }, 'config.devices[0].host_path is null'],
    [{ CDIDevices: [{}] }, 'config.CDI_devices[0].name is empty'],
    [{ stopSignal: 300 }, 'config.stop_signal is 300'],
    [security({ runAsGroup: id(1n) }), 'config.linux.security_context.run_as_group is set without'],
    [security({ runAsUser: id(1n), runAsUsername: 'x' }), 'config.linux.security_context.run_as_username is set together'],
    [security({ maskedPaths: ['proc'] }), 'config.linux.security_context.masked_paths[0] is proc'],
    [security({ supplementalGroupsPolicy: 5 }), 'config.linux.security_context.supplemental_groups_policy is 5'],
    [{ linux: { resources: { unified: { '../x/memory.high': '1' } } } }, 'config.linux.resources.unified has the key ../x/memory.high'],
    [{ linux: { resources: { cpusetCpus: '0-' } } }, 'config.linux.resources.cpuset_cpus is 0-'],
  ]);
});

t.test('timeouts', async (t) => {
  t.equal(timeoutSeconds(toInt64(0n), 'timeout'), 0);
  t.equal(timeoutSeconds(toInt64(2n ** 63n - 1n), 'timeout'), Number.MAX_SAFE_INTEGER);
  t.throws(() => timeoutSeconds(toInt64(-1n), 'timeout'), { message: 'timeout is -1; it must be 0 or more' });
});
