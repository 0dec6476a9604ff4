/** buildSpec: from what a pod asks to the OCI configuration. */
import t from 'tap';
import { buildSpec, type SpecInput } from '../../../src/container/oci-spec.ts';
import type { HostFacts } from '../../../src/container/spec-host.ts';
import { confinementOf } from '../../../src/container/spec-security.ts';
import type { ContainerSecurity, ContainerSpec, MountSpec } from '../../../src/container/types.ts';
import type { ImageConfig } from '../../../src/image/index.ts';
import type { LinuxResources } from '../../../src/sandbox/index.ts';
import { anImage, aSandbox, aSpec } from '../../fixtures/container-spec.ts';

const FACTS: HostFacts = {
  architecture: 'x64',
  capabilities: new Set(['CAP_CHOWN', 'CAP_SYS_ADMIN']),
  mandatoryAccessControl: { apparmor: false, selinux: false },
  cgroupVersion: 2,
  swapAccounting: true,
  hugepageSizes: new Set(['2MB']),
  leastOomScoreAdj: -1000,
  openFilesLimit: 1024,
};
const PINS = { net: '/p/net', ipc: '/p/ipc', uts: '/p/uts' };

interface Change {
  spec?: Partial<ContainerSpec>;
  security?: Partial<ContainerSecurity>;
  image?: Partial<ImageConfig>;
  facts?: Partial<HostFacts>;
  input?: Partial<SpecInput>;
}

// biome-ignore lint/suspicious/noExplicitAny: the configuration is JSON that each test looks into
type Config = any;

function build(change: Change = {}): { config: Config; clamped: string[] } {
  const spec = aSpec({ command: ['/app'], ...change.spec }, change.security);
  const facts = { ...FACTS, ...change.facts };
  return buildSpec({
    spec,
    image: anImage(change.image),
    sandbox: aSandbox({ pins: PINS, hostname: 'web-0' }),
    files: { shm: '/p/shm', resolvConf: '/p/resolv.conf', hostname: '/p/hostname' },
    volumes: spec.mounts,
    devices: [],
    confinement: confinementOf(spec.security, facts),
    user: { uid: 5, gid: 6, supplementalGroups: [6, 7] },
    rootfs: '/b/rootfs',
    cgroupsPath: '/kubepods/pod1/c1',
    handler: { name: 'runc', features: { recursiveReadOnlyMounts: true, idmapMounts: false } },
    facts,
    pidsLimit: 0,
    ...change.input,
  });
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const resources = (change: Partial<LinuxResources>): Partial<ContainerSpec> => ({
  resources: { hugepageLimits: [], unified: {}, ...change },
});
const volume = (change: Partial<MountSpec>): MountSpec => ({
  containerPath: '/v',
  hostPath: '/h',
  readonly: false,
  recursiveReadOnly: false,
  selinuxRelabel: false,
  propagation: 'private',
  uidMappings: [],
  gidMappings: [],
  imageSubPath: '',
  options: [],
  ...change,
});

t.test('command and arguments', async (t) => {
  const image = { entrypoint: ['/entry', 'e'], cmd: ['c'] };
  const args = (command: string[], given: string[]): string[] => build({ spec: { command, args: given }, image }).config.process.args;
  t.strictSame(args([], []), ['/entry', 'e', 'c']);
  t.strictSame(args([], ['a']), ['/entry', 'e', 'a'], 'args replace Cmd');
  t.strictSame(args(['x'], []), ['x'], 'command replaces both');
  t.strictSame(args(['x'], ['a']), ['x', 'a']);
  t.throws(() => build({ spec: { command: [] } }), {
    kind: 'invalid',
    reason: 'INVALID_ARGUMENT',
    message: /neither the container nor its image names a command/,
  });
  t.throws(() => build({ spec: { command: ['a\0b'] } }), { name: 'RuntimeError', kind: 'invalid' });
});

t.test('environment', async (t) => {
  const env = (change: Change): string[] => build(change).config.process.env;
  t.strictSame(env({}), ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOSTNAME=web-0']);
  const merged = env({
    image: { env: ['PATH=/x', 'A=1', 'B==2', 'broken'] },
    spec: {
      tty: true,
      envs: [
        { key: 'A', value: bytes('3') },
        { key: 'E', value: bytes('') },
        { key: 'U', value: bytes('grüße\n') },
      ],
    },
  });
  t.strictSame(merged, ['PATH=/x', 'TERM=xterm', 'HOSTNAME=web-0', 'A=3', 'B==2', 'E=', 'U=grüße\n']);
  t.throws(() => env({ spec: { envs: [{ key: 'SECRET', value: new Uint8Array([0xff]) }] } }), {
    kind: 'invalid',
    message: /SECRET is not UTF-8/,
  });
  t.throws(() => env({ spec: { envs: [{ key: 'N', value: new Uint8Array([0]) }] } }), { kind: 'invalid', message: /NUL/ });
  t.throws(() => env({ spec: { envs: [{ key: 'A=B', value: bytes('') }] } }), { name: 'RuntimeError', kind: 'invalid' });
  t.strictSame(env({ spec: { envs: [{ key: 'BOM', value: bytes('\ufeffx') }] } }).at(-1), 'BOM=\ufeffx', 'not a byte is lost');
});

t.test('working directory, terminal, user, limits of the process', async (t) => {
  t.equal(build().config.process.cwd, '/');
  t.equal(build({ image: { workingDir: '/srv' } }).config.process.cwd, '/srv');
  t.equal(build({ image: { workingDir: 'srv/./x' }, spec: {} }).config.process.cwd, '/srv/x');
  t.equal(build({ image: { workingDir: '/srv' }, spec: { workingDir: '/w' } }).config.process.cwd, '/w');
  const { process } = build({ security: { noNewPrivs: true } }).config;
  t.match(process, {
    terminal: false,
    noNewPrivileges: true,
    user: { uid: 5, gid: 6, additionalGids: [6, 7] },
    rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 1024 }],
  });
  t.strictSame(process.capabilities, {
    bounding: ['CAP_CHOWN'],
    effective: ['CAP_CHOWN'],
    permitted: ['CAP_CHOWN'],
    inheritable: [],
    ambient: [],
  });
});

t.test('oom_score_adj and capabilities are clamped to what the host allows, and that is told', async (t) => {
  t.equal(build({ spec: resources({ oomScoreAdj: -997 }) }).config.process.oomScoreAdj, -997);
  const weak = build({
    spec: resources({ oomScoreAdj: -997 }),
    facts: { leastOomScoreAdj: 0 },
    security: { addCapabilities: ['SYS_RESOURCE'] },
  });
  t.equal(weak.config.process.oomScoreAdj, 0);
  t.match(weak.clamped, [/CAP_SYS_RESOURCE/, /oom_score_adj -997.*it is 0/]);
  t.equal(build({ spec: resources({ oomScoreAdj: 1000 }), facts: { leastOomScoreAdj: 0 } }).config.process.oomScoreAdj, 1000);
  t.equal('oomScoreAdj' in build().config.process, false);
});

t.test('namespaces: the pod’s by path, a mount one of its own, what is not pinned is the host’s', async (t) => {
  const types = (change: Change): string[] =>
    build(change).config.linux.namespaces.map((entry: { type: string; path?: string }) => `${entry.type}:${entry.path ?? ''}`);
  t.strictSame(types({}), ['mount:', 'network:/p/net', 'ipc:/p/ipc', 'uts:/p/uts', 'pid:', 'cgroup:']);
  t.strictSame(types({ input: { sandbox: aSandbox() }, facts: { cgroupVersion: 1 } }), ['mount:', 'pid:']);
  const pid = (mode: 'pod' | 'node' | 'target', pidNamespace?: string): string[] =>
    types({
      security: { namespaces: { network: 'pod', ipc: 'pod', pid: mode } },
      input: pidNamespace === undefined ? {} : { pidNamespace },
    }).filter((entry) => entry.startsWith('pid'));
  t.strictSame(pid('pod', '/proc/7/ns/pid'), ['pid:/proc/7/ns/pid']);
  t.strictSame(pid('target', '/proc/8/ns/pid'), ['pid:/proc/8/ns/pid']);
  t.strictSame(pid('node'), []);
  t.throws(() => pid('target'), { name: 'RuntimeError', reason: 'NAMESPACE_FAILED' });
  t.equal('hostname' in build().config, false, 'it would rename the pod');
});

t.test('mounts: defaults, the pod’s files, volumes in order of depth', async (t) => {
  const mounts: { destination: string; source: string; options: string[] }[] = build({
    spec: {
      mounts: [
        volume({ containerPath: '/data/sub', hostPath: '/h2' }),
        volume({ containerPath: '/data' }),
        volume({ containerPath: '/etc/hosts', hostPath: '/k/hosts' }),
      ],
    },
  }).config.mounts;
  t.strictSame(
    mounts.map((mount) => mount.destination),
    [
      '/proc',
      '/dev',
      '/sys',
      '/data',
      '/dev/pts',
      '/dev/mqueue',
      '/dev/shm',
      '/etc/resolv.conf',
      '/etc/hostname',
      '/data/sub',
      '/etc/hosts',
      '/sys/fs/cgroup',
    ],
  );
  const at = (path: string) => mounts.find((mount) => mount.destination === path);
  t.match(at('/dev/shm'), { source: '/p/shm' });
  t.ok(at('/sys')?.options.includes('ro'));
  t.ok(at('/sys/fs/cgroup')?.options.includes('ro'));
  t.strictSame(at('/etc/resolv.conf')?.options, ['rbind', 'rprivate', 'rw']);
});

t.test('a volume replaces the default of its place, and none is there twice', async (t) => {
  const mounts = build({
    spec: { mounts: [volume({ containerPath: '/dev/shm/', hostPath: '/mine' }), volume({ containerPath: '/etc/hostname' })] },
  }).config.mounts as { destination: string; source: string }[];
  t.strictSame(
    mounts.filter((mount) => mount.destination === '/dev/shm').map((mount) => mount.source),
    ['/mine'],
  );
  t.equal(mounts.filter((mount) => mount.destination === '/etc/hostname').length, 1);
});

t.test('volume options', async (t) => {
  const options = (change: Partial<MountSpec>): string[] =>
    build({ spec: { mounts: [volume(change)] } }).config.mounts.find((mount: { destination: string }) => mount.destination === '/v')
      .options;
  t.strictSame(options({}), ['rbind', 'rprivate', 'rw']);
  t.strictSame(options({ readonly: true, propagation: 'host-to-container', options: ['noexec', 'nosuid'] }), [
    'rbind',
    'rslave',
    'ro',
    'noexec',
    'nosuid',
  ]);
  t.strictSame(options({ readonly: true, recursiveReadOnly: true }), ['rbind', 'rprivate', 'rro']);
  t.throws(() => options({ recursiveReadOnly: true }), { name: 'RuntimeError', kind: 'invalid' }, 'needs readonly');
  t.throws(
    () => options({ readonly: true, recursiveReadOnly: true, propagation: 'bidirectional' }),
    { name: 'RuntimeError', kind: 'invalid' },
    'needs private propagation',
  );
  t.throws(() => options({ options: ['suid'] }), { kind: 'invalid', message: /unknown mount option suid/ });
  t.throws(() => options({ containerPath: '/' }), { name: 'RuntimeError', kind: 'invalid' });
  t.throws(() => options({ uidMappings: [{ hostId: 1, containerId: 0, length: 1 }] }), {
    name: 'RuntimeError',
    reason: 'UNSUPPORTED_SECURITY',
  });
  const old = { handler: { name: 'old', features: { recursiveReadOnlyMounts: false, idmapMounts: false } } };
  t.throws(() => build({ spec: { mounts: [volume({ readonly: true, recursiveReadOnly: true })] }, input: old }), {
    kind: 'unknown',
    message: /^RROUnsupported: /,
  });
});

t.test('propagation reaches the root only when a volume needs it', async (t) => {
  const root = (...modes: MountSpec['propagation'][]): string | undefined =>
    build({ spec: { mounts: modes.map((propagation, index) => volume({ propagation, containerPath: `/v${index}` })) } }).config.linux
      .rootfsPropagation;
  t.equal(root('private'), undefined);
  t.equal(root('private', 'host-to-container'), 'rslave');
  t.equal(root('host-to-container', 'bidirectional'), 'rshared');
});

t.test('read-only root: its shared files too', async (t) => {
  const { config } = build({ security: { readonlyRootfs: true } });
  t.match(config.root, { path: '/b/rootfs', readonly: true });
  t.ok(config.mounts.find((mount: { destination: string }) => mount.destination === '/etc/hostname').options.includes('ro'));
});

t.test('resources', async (t) => {
  const of = (change: Partial<LinuxResources>, facts: Partial<HostFacts> = {}, pidsLimit = 0) => {
    const { devices: _devices, ...rest } = build({ spec: resources(change), facts, input: { pidsLimit } }).config.linux.resources;
    return rest;
  };
  t.strictSame(of({}), {});
  t.strictSame(of({ cpuShares: 512n, cpuQuota: -1n, cpuPeriod: 100000n, cpusetCpus: '0-1', cpusetMems: '0' }), {
    cpu: { shares: 512, quota: -1, period: 100000, cpus: '0-1', mems: '0' },
  });
  t.strictSame(of({ memoryLimitBytes: 1024n }), { memory: { limit: 1024, swap: 1024 } }, 'no swap unless asked for');
  t.strictSame(of({ memoryLimitBytes: 1024n, memorySwapLimitBytes: 4096n }), { memory: { limit: 1024, swap: 4096 } });
  t.strictSame(of({ memoryLimitBytes: 1024n, memorySwapLimitBytes: 4096n }, { swapAccounting: false }), { memory: { limit: 1024 } });
  t.strictSame(of({ memoryLimitBytes: 9223372036854771712n }), { memory: { limit: -1, swap: -1 } }, 'kubelet’s way to say unlimited');
  t.strictSame(
    of({
      hugepageLimits: [
        { pageSize: '2MB', limitBytes: 0n },
        { pageSize: '1GB', limitBytes: 0n },
      ],
    }),
    { hugepageLimits: [{ pageSize: '2MB', limit: 0 }] },
  );
  t.strictSame(of({ hugepageLimits: [{ pageSize: '2MB', limitBytes: 0n }] }, { hugepageSizes: new Set() }), {}, 'without the controller');
  t.strictSame(of({ unified: { 'memory.oom.group': '1' } }), { unified: { 'memory.oom.group': '1' } });
  t.strictSame(of({ unified: { 'memory.oom.group': '1' } }, { cgroupVersion: 1 }), {});
  t.strictSame(of({}, {}, 99), { pids: { limit: 99 } });
});

t.test('devices: nothing but what is asked for', async (t) => {
  const node = { path: '/dev/fuse', type: 'c' as const, major: 10, minor: 229, fileMode: 0o666, uid: 0, gid: 0, access: 'rw' };
  const { linux } = build({ input: { devices: [node] } }).config;
  t.strictSame(linux.devices, [{ path: '/dev/fuse', type: 'c', major: 10, minor: 229, fileMode: 0o666, uid: 0, gid: 0 }]);
  t.strictSame(linux.resources.devices, [
    { allow: false, access: 'rwm' },
    { allow: true, type: 'c', major: 10, minor: 229, access: 'rw' },
  ]);
});

t.test('hidden paths: the caller’s word for word, else the default', async (t) => {
  const asked = build({ security: { maskedPaths: ['/proc/x'], readonlyPaths: ['/proc/y'] } }).config.linux;
  t.match([asked.maskedPaths, asked.readonlyPaths], [['/proc/x'], ['/proc/y']]);
  const { linux } = build().config;
  t.ok(linux.maskedPaths.includes('/proc/kcore'));
  t.ok(linux.readonlyPaths.includes('/proc/sys'));
});

t.test('seccomp: none means unconfined; the default knows the capabilities', async (t) => {
  t.equal(build().config.linux.seccomp, undefined);
  t.equal(build({ security: { seccomp: { type: 'unconfined', localhostRef: '' } } }).config.linux.seccomp, undefined);
  const profile = (security: Partial<ContainerSecurity>) =>
    build({ security: { seccomp: { type: 'runtime-default', localhostRef: '' }, ...security } }).config.linux.seccomp;
  t.equal(profile({}).syscalls[0].names.includes('mount'), false);
  t.equal(profile({ addCapabilities: ['SYS_ADMIN'] }).syscalls[0].names.includes('mount'), true);
  t.throws(() => build({ security: { seccomp: { type: 'localhost', localhostRef: '/nope.json' } } }), {
    name: 'RuntimeError',
    reason: 'UNSUPPORTED_SECURITY',
  });
});

t.test('privileged: open in every way', async (t) => {
  const { config } = build({
    security: {
      privileged: true,
      seccomp: { type: 'runtime-default', localhostRef: '' },
      apparmor: { type: 'localhost', localhostRef: 'x' },
      maskedPaths: ['/proc/x'],
    },
  });
  t.strictSame(config.process.capabilities.bounding, ['CAP_CHOWN', 'CAP_SYS_ADMIN']);
  t.equal(config.linux.seccomp, undefined);
  t.equal(config.linux.maskedPaths, undefined);
  t.strictSame(config.linux.resources.devices, [{ allow: true, access: 'rwm' }]);
  t.ok(config.mounts.find((mount: { destination: string }) => mount.destination === '/sys').options.includes('rw'));
  t.notOk(config.linux.namespaces.some((entry: { type: string }) => entry.type === 'cgroup'));
});

t.test('annotations tell sandboxed runtimes who is who; the pod’s own are not passed on', async (t) => {
  const { annotations } = build({ spec: { annotations: { mine: 'x' } } }).config;
  t.strictSame(annotations, {
    'io.kubernetes.cri.container-type': 'container',
    'io.kubernetes.cri.container-name': 'app',
    'io.kubernetes.cri.image-name': 'example.org/app:1',
    'io.kubernetes.cri.sandbox-id': 'sandbox-1',
    'io.kubernetes.cri.sandbox-name': 'web',
    'io.kubernetes.cri.sandbox-namespace': 'shop',
    'io.kubernetes.cri.sandbox-uid': 'u-1',
  });
});

t.test('the same input gives the same text', async (t) => {
  t.equal(JSON.stringify(build().config), JSON.stringify(build().config));
});
