import '../../fixtures/private-netns.ts';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { makeNode, never, type TestNode } from '../../fixtures/network-node.ts';

/** Records each run as one line, then does what BIN/NAME.COMMAND says; without that file it succeeds. */
const RECORDER = `#!/bin/bash
name=$(basename "$0") dir=$(dirname "$0")
config=$(cat)
printf '{"run":"%s %s","netns":"%s","ifname":"%s","id":"%s","args":"%s","path":"%s","env":%s,"config":%s}\\n' "$name" "$CNI_COMMAND" "$CNI_NETNS" "$CNI_IFNAME" \\
  "$CNI_CONTAINERID" "$CNI_ARGS" "$CNI_PATH" "$(env -u _ -u PWD -u SHLVL | wc -l)" "$config" >> "$dir/log"
if [ -e "$dir/$name.$CNI_COMMAND" ]; then . "$dir/$name.$CNI_COMMAND"; fi
[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"'$CNI_NETNS'"}],"ips":[{"address":"10.1.1.1/24","interface":0}],"by":"'$name'"}'
exit 0
`;

interface Run {
  run: string;
  netns: string;
  ifname: string;
  id: string;
  args: string;
  env: number;
  config: Record<string, unknown>;
}

function recorders(
  t: Parameters<typeof makeNode>[0],
  timeoutMs = 20_000,
): TestNode & { bin: string; runs(): Run[]; does(what: string, script: string): void } {
  const node = makeNode(t, { cniTimeoutMs: timeoutMs });
  const bin = join(node.dir, 'bin');
  mkdirSync(bin);
  for (const name of ['one', 'two']) writeFileSync(join(bin, name), RECORDER, { mode: 0o755 });
  const plugins = [
    { type: 'one', capabilities: { bandwidth: true, cgroupPath: true, portMappings: false } },
    { type: 'two', capabilities: { portMappings: true, dns: true, ipRanges: true } },
  ];
  writeFileSync(join(node.config.cniConfDir, '10-test.conflist'), JSON.stringify({ cniVersion: '1.0.0', name: 'rec', plugins }));
  node.restart();
  return Object.assign(node, {
    bin,
    runs: () =>
      existsSync(join(bin, 'log'))
        ? readFileSync(join(bin, 'log'), 'utf8')
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line) as Run)
        : [],
    does: (what: string, script: string) => writeFileSync(join(bin, what), script),
  });
}

const names = (runs: Run[]): string[] => runs.map(({ run }) => run);
const ALL_UNDONE = ['one ADD', 'two ADD', 'two DEL', 'one DEL'];

t.test('a plugin gets what the specification says, and DEL what ADD had', async (t) => {
  const node = recorders(t);
  node.network.setPodCidr('10.50.0.0/16');
  const pod = node.pod('web', {
    annotations: { 'kubernetes.io/ingress-bandwidth': '10M' },
    portMappings: [
      { protocol: 'udp', hostPort: 53, containerPort: 5353, hostIp: '127.0.0.9' },
      { protocol: 'tcp', hostPort: 0, containerPort: 80, hostIp: '' },
    ],
    dns: { servers: ['10.0.0.10'], searches: ['svc'], options: ['ndots:5'] },
    cgroupPath: '/kubepods/pod1',
  });
  t.match(await node.network.attach(pod, never), { mode: 'cni', ips: ['10.1.1.1'] });
  // What is configured now must not matter to what was attached before.
  rmSync(join(node.config.cniConfDir, '10-test.conflist'));
  const network = node.restart();
  t.equal(network.status().mode, 'embedded');
  node.unpin(pod);
  await network.detach(pod.sandboxId, pod.netnsPath, never);
  const [one, two, undoTwo, undoOne] = node.runs();
  t.match(one, {
    run: 'one ADD',
    netns: pod.netnsPath,
    ifname: 'eth0',
    id: pod.sandboxId,
    args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=${pod.sandboxId};K8S_POD_UID=uid-web`,
    path: node.config.cniBinDirs.join(':'),
    env: 7,
  });
  t.strictSame(one?.config, {
    type: 'one',
    runtimeConfig: { bandwidth: { ingressRate: 10_000_000, ingressBurst: 2_147_483_647 }, cgroupPath: '/kubepods/pod1' },
    cniVersion: '1.0.0',
    name: 'rec',
  });
  t.match(two?.config, {
    runtimeConfig: {
      portMappings: [{ hostPort: 53, containerPort: 5353, protocol: 'udp', hostIP: '127.0.0.9' }],
      dns: { servers: ['10.0.0.10'], searches: ['svc'], options: ['ndots:5'] },
      ipRanges: [[{ subnet: '10.50.0.0/16' }]],
    },
    prevResult: { by: 'one' },
  });
  t.match(
    [undoTwo, undoOne],
    [
      { run: 'two DEL', netns: '', config: { ...two?.config, prevResult: { by: 'two' } } },
      { run: 'one DEL', netns: '', config: { ...one?.config, prevResult: { by: 'two' } } },
    ],
  );
  t.equal(node.runs().length, 4);
  t.strictSame(node.rows(), { attachments: 0, addresses: 0 });
});

const FAILURES: { what: string; script: string; error: { reason: string; kind?: string; message: string | RegExp } }[] = [
  {
    what: 'error JSON',
    script: `echo '{"cniVersion":"1.0.0","code":100,"msg":"no leases","details":"pool is empty"}'; echo note >&2; exit 1`,
    error: {
      reason: 'CNI_FAILED',
      kind: 'internal',
      message: 'CNI plugin two (ADD, network rec, pod default/web) failed with code 100: no leases (pool is empty), saying "note"',
    },
  },
  {
    what: 'the code for a later try',
    script: `echo '{"code":11,"msg":"not yet"}'; exit 1`,
    error: {
      reason: 'CNI_FAILED',
      kind: 'unavailable',
      message: 'CNI plugin two (ADD, network rec, pod default/web) failed with code 11: not yet',
    },
  },
  {
    what: 'an exit code and words on stderr',
    script: 'echo "panic: nil map" >&2; exit 2',
    error: { reason: 'CNI_FAILED', message: 'CNI plugin two (ADD, network rec, pod default/web) exited with 2, saying "panic: nil map"' },
  },
  {
    what: 'a crash',
    script: 'kill -SEGV $$',
    error: { reason: 'CNI_FAILED', message: 'CNI plugin two (ADD, network rec, pod default/web) was killed by signal 11' },
  },
  {
    what: 'garbage with exit code 0',
    script: 'echo "it worked!"; exit 0',
    error: {
      reason: 'CNI_FAILED',
      message: 'CNI plugin two (ADD, network rec, pod default/web) printed something else than JSON, saying "it worked!"',
    },
  },
  {
    what: 'megabytes of output',
    script: 'head -c 5000000 /dev/zero | tr "\\0" x; exit 3',
    error: { reason: 'CNI_FAILED', message: /^CNI plugin two .* exited with 3, saying "\.\.\.x{1024}"$/ },
  },
  {
    what: 'a result without addresses',
    script: `echo '{"cniVersion":"1.0.0"}'; exit 0`,
    error: {
      reason: 'CNI_FAILED',
      message: /^the CNI network rec gave the pod default\/web no address on eth0; check the ipam section of .*10-test.conflist$/,
    },
  },
  {
    what: 'an exit that leaves a child behind which holds the pipes',
    script: `setsid sleep 1000 & echo $! > "$dir/pid"; echo '{"code":7,"msg":"bad"}'; exit 1`,
    error: { reason: 'CNI_FAILED', message: 'CNI plugin two (ADD, network rec, pod default/web) failed with code 7: bad' },
  },
];

for (const { what, script, error } of FAILURES) {
  t.test(`ADD ends in ${what}: all plugins are undone`, async (t) => {
    const node = recorders(t);
    node.does('two.ADD', script);
    const pod = node.pod('web');
    t.teardown(() => {
      if (existsSync(join(node.bin, 'pid'))) process.kill(Number(readFileSync(join(node.bin, 'pid'), 'utf8')), 'SIGKILL');
    });
    await t.rejects(node.network.attach(pod, never), error);
    t.strictSame(names(node.runs()), ALL_UNDONE);
    t.strictSame(node.rows(), { attachments: 0, addresses: 0 });
  });
}

t.test('a plugin that hangs is killed with its children and named; other pods do not wait for it', async (t) => {
  const node = recorders(t, 1000);
  node.does('two.ADD', 'if [[ $CNI_ARGS = *NAME=slow* ]]; then sleep 1000 & echo $$ $! > "$dir/pids"; wait; fi');
  const slow = node.network.attach(node.pod('slow'), never);
  await node.network.attach(node.pod('quick'), never);
  await t.rejects(slow, {
    reason: 'CNI_TIMEOUT',
    kind: 'unavailable',
    message: 'CNI plugin two (ADD, network rec, pod default/slow) did not answer in 1 s and was killed; look at what it waits for',
  });
  for (const pid of readFileSync(join(node.bin, 'pids'), 'utf8').trim().split(' ')) {
    t.notOk(existsSync(`/proc/${pid}/fd/0`), `process ${pid} is gone`);
  }
  t.strictSame(node.rows(), { attachments: 1, addresses: 0 }, 'the quick pod’s');
});

t.test('a caller that gives up has the plugin killed and everything undone', async (t) => {
  const node = recorders(t);
  node.does('two.ADD', 'sleep 1000');
  const caller = new AbortController();
  const attach = node.network.attach(node.pod('web'), caller.signal);
  while (node.runs().length < 2) await delay(10);
  caller.abort();
  await t.rejects(attach, { reason: 'CANCELLED', message: /gave up/ });
  t.strictSame(names(node.runs()), ALL_UNDONE);
  t.strictSame(node.rows(), { attachments: 0, addresses: 0 });
});

t.test('DEL is repeated with what ADD had until it succeeds', async (t) => {
  const node = recorders(t);
  node.does('two.ADD', 'exit 1');
  node.does('one.DEL', 'echo "cannot reach the controller" >&2; exit 1');
  const pod = node.pod('web');
  await t.rejects(node.network.attach(pod, never), { message: /CNI plugin two \(ADD/ }, 'the first failure is the one told');
  t.equal(node.rows().attachments, 1, 'kept for the next try');
  await t.rejects(node.network.detach(pod.sandboxId, pod.netnsPath, never), {
    reason: 'CNI_FAILED',
    message: 'CNI plugin one (DEL, network rec, pod default/web) exited with 1, saying "cannot reach the controller"',
  });
  const network = node.restart();
  t.strictSame((await network.collect(new Set(), never)).removed, [], 'a start goes on in spite of it');
  t.equal(node.rows().attachments, 1);
  rmSync(join(node.bin, 'one.DEL'));
  t.strictSame((await network.collect(new Set(), never)).removed, ['attachment of default/web']);
  t.equal(node.rows().attachments, 0);
  t.match(
    node.runs().at(-1),
    { run: 'one DEL', config: { prevResult: { by: 'one' }, name: 'rec' } },
    'with the result of the ADD that had succeeded',
  );

  rmSync(join(node.bin, 'two.ADD'));
  await network.attach(node.pod('web'), never);
  rmSync(join(node.bin, 'two'));
  t.strictSame(
    (await network.collect(new Set(), never)).removed,
    ['attachment of default/web'],
    'an uninstalled plugin does not keep a pod',
  );
});

t.test('an attach that was cut off is undone before the next one for the sandbox', async (t) => {
  const node = recorders(t);
  const pod = node.pod('web');
  await node.network.attach(pod, never);
  const row = node.store.table<Record<string, unknown>>('attachments').all()[0];
  node.store.table('attachments').put(row?.id ?? '', { ...row?.value, state: 'adding' });
  await node.restart().attach(pod, never);
  t.strictSame(names(node.runs()), ['one ADD', 'two ADD', 'two DEL', 'one DEL', 'one ADD', 'two ADD']);
});
