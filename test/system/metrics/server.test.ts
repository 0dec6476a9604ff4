/** The endpoint over real sockets, as a scraper, a browser and a rude client see it. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { mock } from 'node:test';
import t, { type Test } from 'tap';
import { createLogger } from '../../../src/log/index.ts';
import { createMetrics } from '../../../src/metrics/index.ts';
import { container, eth0, reading, sandbox } from '../../fixtures/samples.ts';

const log = createLogger({ level: 'silent' });
const layout = { mode: 'v2' as const, legacy: {}, controllers: ['cpu', 'memory', 'io', 'pids'] };

async function listen(t: Test, sample = async () => [pod]) {
  const metrics = createMetrics({ version: '0.1.0', layout, log });
  metrics.observe({
    sandboxes: { list: () => [] },
    containers: { list: () => [] },
    images: { list: () => [], fsUsage: () => ({ mountpoint: '/', usedBytes: 0n, inodesUsed: 0n }), pulls: () => [] },
    sampler: { sample },
    events: { subscribers: 0 },
  });
  const server = await metrics.listen('127.0.0.1:0');
  t.teardown(async () => {
    await server.close();
    metrics[Symbol.dispose]();
  });
  return { server, url: `http://${server.address}` };
}

const pod = {
  record: sandbox('p'),
  cgroup: reading(),
  interfaces: [eth0()],
  processCount: 1,
  containers: [{ record: container('a', 'p'), cgroup: reading() }],
};

t.test('both endpoints and the health check', async (t) => {
  const { url } = await listen(t);
  for (const [path, expected] of [
    ['/metrics', /berth_build_info/],
    ['/metrics/cadvisor?x=1', /container_memory_usage_bytes\{/],
    ['/healthz', /^ok\n$/],
  ] as const) {
    const response = await fetch(url + path);
    t.equal(response.status, 200, path);
    t.match(response.headers.get('content-type'), /^text\/plain/);
    t.match(await response.text(), expected);
  }
  const head = await fetch(`${url}/metrics`, { method: 'HEAD' });
  t.equal(head.status, 200);
  t.equal(await head.text(), '');
});

t.test('other methods and paths', async (t) => {
  const { url } = await listen(t);
  const post = await fetch(`${url}/metrics`, { method: 'POST', body: 'x' });
  t.equal(post.status, 405);
  t.equal(post.headers.get('allow'), 'GET, HEAD');
  for (const path of ['/', '/metrics/', '/../etc/passwd', '/constructor', '/__proto__'])
    t.equal((await fetch(url + path)).status, 404, path);
});

t.test('a scrape that fails is a 500 with its words, and the next one works', async (t) => {
  let broken = true;
  const { url } = await listen(t, async () => {
    if (broken) throw new Error('cgroup tree is on fire');
    return [pod];
  });
  const bad = await fetch(`${url}/metrics/cadvisor`);
  t.equal(bad.status, 500);
  t.equal(await bad.text(), 'cgroup tree is on fire\n');
  broken = false;
  t.equal((await fetch(`${url}/metrics/cadvisor`)).status, 200);
});

t.test('a client that does not read its answer is cut off', async (t) => {
  const length = 64 * 1024 * 1024; // more than the kernel's buffers hold
  const { server } = await listen(t, () => Promise.reject(new Error('x'.repeat(length))));
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const [host, port] = server.address.split(':');
  const slow = connect(Number(port), host);
  t.teardown(() => slow.destroy());
  slow.write('GET /metrics/cadvisor HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  await once(slow, 'readable'); // the answer has begun, and is not read
  mock.timers.tick(30_000);
  slow.on('error', () => undefined); // the cut
  slow.resume();
  await once(slow, 'close');
  t.ok(slow.bytesRead < length, 'it got part of it only');
});

t.test('close ends idle connections and frees the port; twice is once', async (t) => {
  const { server, url } = await listen(t);
  const [host, port] = server.address.split(':');
  const idle = connect(Number(port), host);
  await once(idle, 'connect');
  const ended = once(idle, 'close');
  await server.close();
  await server.close();
  idle.resume();
  await ended;
  await t.rejects(fetch(`${url}/healthz`));
});

t.test('an address that is taken or malformed says so', async (t) => {
  const { server } = await listen(t);
  using metrics = createMetrics({ version: '1', layout, log });
  await t.rejects(metrics.listen(server.address), { name: 'RuntimeError', reason: 'CONFIG_INVALID', message: /EADDRINUSE; choose/ });
  for (const bad of ['', '127.0.0.1', 'localhost:x', '1.2.3.4:70000', '::1:80', '[::1:80']) {
    await t.rejects(metrics.listen(bad), { name: 'RuntimeError', reason: 'CONFIG_INVALID' }, bad);
  }
});

const promtool = spawnSync('promtool', ['--version']).error === undefined;
t.test('promtool accepts both texts', { skip: promtool ? false : 'needs promtool (Debian package prometheus)' }, async (t) => {
  const { url } = await listen(t);
  /** Names that are cAdvisor's and break Prometheus' naming rules. */
  const legacy = /^container_(memory_(failcnt|rss|cache|swap|mapped_file|kernel_usage)|fs_inodes_total|spec_\w+|blkio_\w+)\b/;
  for (const path of ['/metrics', '/metrics/cadvisor']) {
    const { stderr, stdout } = spawnSync('promtool', ['check', 'metrics'], {
      input: await (await fetch(url + path)).text(),
      encoding: 'utf8',
    });
    const complaints = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !legacy.test(line));
    t.same(complaints, [], path);
  }
});
