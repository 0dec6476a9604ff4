import '../../fixtures/private-netns.ts';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { cri, runtimeService } from '../../../src/gen/index.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { busyboxImage, Pods } from '../../fixtures/pods.ts';
import { startRegistry } from '../../fixtures/registry.ts';

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

const registry = await startRegistry(t);
const image = await registry.pushImage('test/busybox', '1', busyboxImage());
const daemon = await startDaemon(t);
const { client } = daemon;
const pods = new Pods(daemon, image);
await pods.pull();
const sandbox = await pods.run();
const id = await pods.start(sandbox, pods.container('main', 'httpd -f -p 80 -h /www'));
const { status } = await client.call(runtimeService.PodSandboxStatus, { podSandboxId: sandbox });

/** A berth with everything of its own but what `shared` says; it is expected to end by itself. */
async function attempt(dir: string, shared: string[]): Promise<{ code: number; words: string }> {
  const own = [
    `socket=${dir}/s.sock`,
    `root=${dir}/lib`,
    `state=${dir}/run`,
    'network.bridge=other0',
    'network.pod_cidr=10.99.0.0/24',
    `network.cni_conf_dir=${dir}/cni`,
    `cgroup.default_parent=/${dir.split('/').at(-1)}`,
    'metrics.address=',
  ];
  const settings = [...own, ...shared].flatMap((setting) => ['--set', setting]);
  const child = spawn(process.execPath, [MAIN, 'serve', ...settings], { stdio: ['ignore', 'pipe', 'pipe'] });
  let words = '';
  child.stdout.on('data', (data: Buffer) => {
    words += data;
    if (words.includes('berth is ready')) child.kill('SIGTERM');
  });
  const [code] = await once(child, 'close');
  return { code, words };
}

for (const [what, shared] of [
  ['root', `root=${daemon.root}`],
  ['state', `state=${daemon.state}`],
  ['socket', `socket=${daemon.socket}`],
  ['bridge', 'network.bridge=berth0'],
] as const) {
  t.test(`a second berth with the same ${what} ends at once, says why, and touches nothing`, async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'berth-2nd-'));
    t.teardown(() => rmSync(dir, { recursive: true, force: true }));
    const { code, words } = await attempt(dir, [shared]);
    t.equal(code, 1);
    t.match(words, what === 'socket' ? /SOCKET_IN_USE/ : /"reason":"IN_USE"/);
    t.match(words, what === 'bridge' || what === 'socket' ? /stop it/ : new RegExp(`berth \\(pid ${daemon.pid()}\\)`));
    t.notOk(existsSync(`${dir}/lib/berth.db`), 'it opened no store of its own');
    t.equal((await pods.status(id)).state, cri.ContainerState.CONTAINER_RUNNING);
    t.ok(readdirSync('/sys/class/net').includes('berth0'));
    t.match(await (await fetch(`http://${status?.network?.ip}/`)).text(), 'hello', 'the pod answers over its network');
  });
}

t.test('what a killed berth held is free at once', async (t) => {
  await daemon.kill();
  await daemon.start();
  t.equal((await pods.status(id)).state, cri.ContainerState.CONTAINER_RUNNING);
});
