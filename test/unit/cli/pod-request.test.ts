import t from 'tap';
import { parseArgs } from '../../../src/cli/args.ts';
import type { FlagValues } from '../../../src/cli/command.ts';
import { COMMANDS } from '../../../src/cli/commands.ts';
import { podLogDirectory } from '../../../src/cli/pod-logs.ts';
import { containerConfig, nameFromImage, podConfig, portMapping } from '../../../src/cli/pod-request.ts';
import { cri } from '../../../src/gen/index.ts';

function flags(...argv: string[]): FlagValues {
  return parseArgs(COMMANDS.find((command) => command.name === 'run')!, ['image', ...argv]).flags;
}

const identity = { name: 'web', namespace: 'default', uid: 'u', logDirectory: '/l' };
const container = { name: 'web', pod: identity, imageId: 'sha256:0', reference: 'img', command: ['a', 'b'], hostNetwork: false };

t.test('limits as the kernel counts them', async (t) => {
  const { linux } = containerConfig(flags('--cpus', '0.25', '-m', '64Mi'), container);
  const resources = linux?.resources;
  t.equal(resources?.cpuPeriod?.toNumber(), 100_000);
  t.equal(resources?.cpuQuota?.toNumber(), 25_000);
  t.equal(resources?.cpuShares?.toNumber(), 256);
  t.equal(resources?.memoryLimitInBytes?.toString(), '67108864');
  t.same(containerConfig(flags(), container).linux?.resources, {}, 'no limits unless asked');
});

t.test('ports, environment, volumes, command', async (t) => {
  t.same(portMapping('8080:80'), { hostIp: '', hostPort: 8080, containerPort: 80, protocol: cri.Protocol.TCP });
  t.same(portMapping('127.0.0.1:53:5353/udp'), { hostIp: '127.0.0.1', hostPort: 53, containerPort: 5353, protocol: cri.Protocol.UDP });
  t.same(portMapping('[::1]:1:2/sctp'), { hostIp: '::1', hostPort: 1, containerPort: 2, protocol: cri.Protocol.SCTP });
  const config = containerConfig(flags('-e', 'A=b=c', '-e', 'EMPTY=', '-v', '/h:/c:ro', '-v', '/d:/e'), container);
  t.same(config.envs, [
    { key: 'A', value: Buffer.from('b=c') },
    { key: 'EMPTY', value: Buffer.from('') },
  ]);
  t.match(config.mounts, [
    { hostPath: '/h', containerPath: '/c', readonly: true },
    { hostPath: '/d', containerPath: '/e', readonly: false },
  ]);
  t.same(config.args, ['a', 'b']);
  t.equal(config.command, undefined, 'the image’s entrypoint stays');
});

t.test('the pod: network, hostname, labels', async (t) => {
  const own = podConfig(flags('-l', 'a=1', '-p', '1:2'), identity);
  t.equal(own.hostname, 'web');
  t.equal(own.linux?.securityContext?.namespaceOptions?.network, cri.NamespaceMode.POD);
  t.match(own.labels, { a: '1', 'io.kubernetes.pod.name': 'web', 'io.kubernetes.pod.namespace': 'default', 'io.kubernetes.pod.uid': 'u' });
  t.equal(own.portMappings?.length, 1);
  t.same(containerConfig(flags('-l', 'a=1'), { ...container, name: 'side' }).labels, {
    ...own.labels,
    'io.kubernetes.container.name': 'side',
  });
  const host = podConfig(flags('--host-network'), identity);
  t.equal(host.hostname, '');
  t.equal(host.linux?.securityContext?.namespaceOptions?.network, cri.NamespaceMode.NODE);
  t.equal(podConfig(flags('--hostname', 'h'), identity).hostname, 'h');
});

t.test('a name from an image', async (t) => {
  t.equal(nameFromImage('docker.io/library/busybox:1.36', 'ab12'), 'busybox-ab12');
  t.equal(nameFromImage('localhost:5000/My_App@sha256:00', ''), 'my-app');
  t.equal(nameFromImage('registry:5000/-:x', 'z'), 'container-z');
});

t.test('a log directory stays below the daemon’s root whatever a pod is called', async (t) => {
  t.equal(podLogDirectory('/root', identity), '/root/logs/default_web_u');
  for (const bad of ['..', '../../etc', 'a/b', '', '.hidden', 'a\0b']) {
    t.equal(podLogDirectory('/root', { ...identity, name: bad }), undefined, JSON.stringify(bad));
    t.equal(podLogDirectory('/root', { ...identity, uid: bad }), undefined, JSON.stringify(bad));
  }
  t.equal(podLogDirectory('/root', null), undefined);
});
