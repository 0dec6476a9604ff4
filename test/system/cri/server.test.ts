/** The CRI edge over a real unix socket: codes, deadlines, cancellation, limits, the gate and the socket itself. */

import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect as connectSocket, createServer } from 'node:net';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { serveCri } from '../../../src/cri/index.ts';
import { toInt64 } from '../../../src/cri/int64.ts';
import { RuntimeError } from '../../../src/errors/index.ts';
import { imageService, operatorService, runtimeService } from '../../../src/gen/index.ts';
import { CriClient, failure, Harness, type MethodName } from '../../fixtures/cri/client.ts';
import { Services } from '../../fixtures/cri/services.ts';

async function started(t: Test, options = { ready: true }): Promise<Harness> {
  const harness = new Harness();
  t.teardown(() => harness[Symbol.asyncDispose]());
  await harness.start(options);
  return harness;
}

t.test('Version is exact and complete, and answered before berth is ready', async (t) => {
  const { client } = await started(t, { ready: false });
  t.same(
    { ...(await client.unary('Version', {})) },
    { version: '0.1.0', runtimeName: 'berth', runtimeVersion: '0.1.0-test', runtimeApiVersion: 'v1' },
  );
});

t.test('everything else is Unavailable until ready, then answered', async (t) => {
  const harness = new Harness();
  t.teardown(() => harness[Symbol.asyncDispose]());
  const server = await harness.start({ ready: false });
  const streams = new Set<string>();
  for (const [name, method] of Object.entries({ ...runtimeService, ...imageService, ...operatorService })) {
    if (name === 'Version') continue;
    if (method.stream) streams.add(name);
    const failed = await failure(method.stream ? harness.client.all(name as MethodName, {}) : harness.client.unary(name as MethodName, {}));
    t.match(failed, { code: 'UNAVAILABLE', reason: 'STARTING' }, name);
  }
  t.equal(streams.size, 10);
  server.ready();
  t.equal(await failure(harness.client.unary('Status', {})), undefined);
});

t.test('what is not offered yet answers Unimplemented and names itself', async (t) => {
  const { client } = await started(t);
  for (const name of [
    'UpdateContainerResources',
    'Exec',
    'Attach',
    'PortForward',
    'CheckpointContainer',
    'CheckpointPod',
    'RestorePod',
    'ListMetricDescriptors',
    'ListPodSandboxMetrics',
  ] as const) {
    const failed = await failure(client.unary(name, {}));
    t.match(failed, { code: 'UNIMPLEMENTED', reason: 'UNIMPLEMENTED', message: new RegExp(`^${name} is not offered`) });
  }
  t.match(await failure(client.all('StreamPodSandboxMetrics', {})), { code: 'UNIMPLEMENTED', message: /^StreamPodSandboxMetrics / });
});

t.test('a failure has its code, its message and its reason; it is logged once and counted once', async (t) => {
  const { client, lines, observed } = await started(t);
  t.same(await failure(client.unary('ContainerStatus', { containerId: 'gone' })), {
    code: 'NOT_FOUND',
    message: 'no container has the id gone',
    reason: 'CONTAINER_NOT_FOUND',
  });
  t.same(observed.started, ['ContainerStatus']);
  t.match(observed.ended, [{ method: 'ContainerStatus', code: 'NOT_FOUND', seconds: Number }]);
  t.equal(lines.length, 1);
  t.match(lines[0], { rpc: 'ContainerStatus', code: 'NOT_FOUND', reason: 'CONTAINER_NOT_FOUND', msg: /no container/, ms: Number });
});

t.test('an unexpected throw is Internal and its cause is in the log, not on the wire', async (t) => {
  const { client, lines, services } = await started(t);
  services.overrides.set('containers.start', () => {
    throw new TypeError('x is not a function');
  });
  t.match(await failure(client.unary('StartContainer', { containerId: 'c' })), { code: 'INTERNAL', reason: 'INTERNAL' });
  t.match(lines[0], { level: 50, err: { stack: /server\.test/ } });
});

t.test('messages of any length and script arrive', async (t) => {
  const { client, services } = await started(t);
  for (const message of ['näme 中文 100% \n second line', `lone \ud800 surrogate`, 'x'.repeat(200_000)]) {
    services.overrides.set('containers.start', () => {
      throw new RuntimeError('precondition', 'START_FAILED', message);
    });
    const failed = await failure(client.unary('StartContainer', { containerId: 'c' }));
    t.match(failed, { code: 'FAILED_PRECONDITION', reason: 'START_FAILED' });
    t.equal(failed?.message.slice(0, 100), message.toWellFormed().slice(0, 100));
  }
});

t.test('kubelet matches RegistryUnavailable by prefix, under Unknown', async (t) => {
  const { client, services } = await started(t);
  services.overrides.set('images.pull', () => {
    throw new RuntimeError('unavailable', 'REGISTRY_UNAVAILABLE', 'cannot pull r/x: connection refused');
  });
  t.same(await failure(client.unary('PullImage', { image: { image: 'r/x' } })), {
    code: 'UNKNOWN',
    message: 'RegistryUnavailable: cannot pull r/x: connection refused',
    reason: 'REGISTRY_UNAVAILABLE',
  });
});

t.test('credentials reach the domain and nothing else', async (t) => {
  const { client, services, lines } = await started(t);
  const auth = { username: 'u', password: 'hunter2', identityToken: 'idtoken', registryToken: 'regtoken' };
  t.equal((await client.unary('PullImage', { image: { image: 'r/x' }, auth })).imageRef, `sha256:${'a'.repeat(64)}`);
  t.match(services.calls[0]?.args[1], auth);
  services.overrides.set('images.pull', () => {
    throw new RuntimeError('denied', 'IMAGE_UNAUTHORIZED', 'the registry refused');
  });
  t.match(await failure(client.unary('PullImage', { image: { image: 'r/x' }, auth })), { code: 'PERMISSION_DENIED' });
  t.notMatch(JSON.stringify(lines), /hunter2|idtoken|regtoken/);
  services.overrides.clear();
  await client.unary('PullImage', { image: { image: 'r/x' }, auth: { serverAddress: 'r' } });
  t.equal(services.calls.at(-1)?.args[1], undefined, 'an address alone is no credentials');
});

t.test('a passed deadline is DeadlineExceeded at the client, in the metrics and at the work’s signal', async (t) => {
  const { client, services, observed } = await started(t);
  const seen = Promise.withResolvers<AbortSignal>();
  const work = async (signal: AbortSignal): Promise<never> => {
    seen.resolve(signal);
    const { promise, reject } = Promise.withResolvers<never>();
    signal.addEventListener('abort', () => reject(new RuntimeError('cancelled', 'CANCELLED', 'gave up')));
    return promise;
  };
  services.overrides.set('images.pull', (_name, _auth, signal) => work(signal));
  t.match(await failure(client.unary('PullImage', { image: { image: 'r/x' } }, { deadline: Date.now() + 200 })), {
    code: 'DEADLINE_EXCEEDED',
  });
  const signal = await seen.promise;
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
  t.match(signal.reason, { kind: 'deadline', reason: 'DEADLINE' });
  await until(() => observed.ended.length === 1);
  t.match(observed.ended, [{ method: 'PullImage', code: 'DEADLINE_EXCEEDED' }]);
});

t.test('a deadline of 1 ms is DeadlineExceeded', async (t) => {
  const { client, services } = await started(t);
  services.overrides.set('images.pull', () => new Promise(() => undefined));
  t.match(await failure(client.unary('PullImage', { image: { image: 'r/x' } }, { deadline: Date.now() + 1 })), {
    code: 'DEADLINE_EXCEEDED',
  });
});

t.test('a cancelled call aborts its work, as cancelled', async (t) => {
  const { client, services, observed } = await started(t);
  const begun = Promise.withResolvers<void>();
  services.overrides.set('sandboxes.stop', (_id, signal: AbortSignal) => {
    begun.resolve();
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  });
  const call = client.unary('StopPodSandbox', { podSandboxId: 's' });
  await begun.promise;
  call.cancel();
  t.match(await failure(call), { code: 'CANCELLED' });
  await until(() => observed.ended.length === 1);
  t.match(observed.ended, [{ method: 'StopPodSandbox', code: 'CANCELLED' }]);
});

t.test('an exec that timed out is DeadlineExceeded with its own reason', async (t) => {
  const { client, services } = await started(t);
  services.overrides.set('containers.execSync', () => {
    throw new RuntimeError('deadline', 'EXEC_TIMEOUT', 'the command ran longer than 1 s');
  });
  const failed = await failure(client.unary('ExecSync', { containerId: 'c', cmd: ['sleep'], timeout: toInt64(1n) }));
  t.match(failed, { code: 'DEADLINE_EXCEEDED', reason: 'EXEC_TIMEOUT' });
});

t.test('a timeout beyond 24.8 days does not wrap into the past', async (t) => {
  const { socket, services } = await started(t);
  // long enough for a timer that was set into the past to fire first
  services.overrides.set('containers.stop', () => new Promise((resolve) => setTimeout(resolve, 50)));
  const code = await rawCall(socket, { 'grpc-timeout': '2592120S' });
  t.equal(code, '0', '30 days and two minutes');
  t.equal(await rawCall(socket, { 'grpc-timeout': '99999999H' }), '0');
  t.equal(services.calls.length, 2);
  services.overrides.set('containers.stop', () => new Promise(() => undefined));
  t.equal(await rawCall(socket, { 'grpc-timeout': '50m' }), '4', 'a short one still counts');
});

t.test('a malformed request is InvalidArgument', async (t) => {
  const { client, observed } = await started(t);
  const failed = await failure(client.unary('ContainerStatus', {}, { raw: Buffer.from([0x0a, 0xff]) }));
  t.match(failed, { code: 'INVALID_ARGUMENT', reason: 'INVALID_ARGUMENT', message: /ContainerStatus cannot be decoded/ });
  t.match(observed.ended, [{ code: 'INVALID_ARGUMENT' }]);
});

t.test('messages up to 16 MiB pass both ways; larger ones are refused', async (t) => {
  const { client, services } = await started(t);
  const nearly = 'x'.repeat(16 * 1024 * 1024 - 64);
  t.match(await client.unary('ExecSync', { containerId: 'c', cmd: ['echo', nearly] }), { exitCode: 3 });
  t.equal((services.calls[0]!.args[1] as string[])[1]?.length, nearly.length);
  t.match(await failure(client.unary('ExecSync', { containerId: 'c', cmd: ['echo', `${nearly}${'y'.repeat(100)}`] })), {
    code: 'RESOURCE_EXHAUSTED',
  });
});

t.test('ExecSync output is cut to what the client accepts, the larger stream first', async (t) => {
  const { client, services } = await started(t);
  const full = 16 * 1024 * 1024;
  services.overrides.set('containers.execSync', () => ({ exitCode: 0, stdout: Buffer.alloc(full, 'o'), stderr: Buffer.from('why') }));
  const one = await client.unary('ExecSync', { containerId: 'c', cmd: ['yes'] });
  t.equal(Buffer.from(one.stderr).toString(), 'why');
  t.equal(one.stdout.byteLength, full - 64 - 3);
  services.overrides.set('containers.execSync', () => ({ exitCode: 0, stdout: Buffer.alloc(full), stderr: Buffer.alloc(full) }));
  const both = await client.unary('ExecSync', { containerId: 'c', cmd: ['yes'] });
  t.same([both.stdout.byteLength, both.stderr.byteLength], [full / 2 - 32, full / 2 - 32]);
});

t.test('the socket is for root and its group, and goes away with the server', async (t) => {
  const harness = new Harness();
  const server = await harness.start();
  t.equal(statSync(harness.socket).mode & 0o777, 0o660);
  t.teardown(() => harness[Symbol.asyncDispose]());
  harness.client[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  t.notOk(existsSync(harness.socket));
});

t.test('the socket of a killed daemon is taken over, that of a living one is not', async (t) => {
  const harness = await started(t);
  const again = { socket: harness.socket, dependencies: harness.services.dependencies(), log: silent() };
  await t.rejects(serveCri(again), { reason: 'SOCKET_IN_USE', message: /another process answers/ });
  t.equal(await failure(harness.client.unary('Version', {})), undefined, 'the first one still serves');

  const stale = join(harness.directory, 'stale.sock');
  await leaveStaleSocket(stale);
  t.ok(existsSync(stale));
  const server = await serveCri({ ...again, socket: stale });
  t.teardown(() => server[Symbol.asyncDispose]());
  using client = new CriClient(stale);
  t.equal(await failure(client.unary('Version', {})), undefined);
});

t.test('a file that is no socket is left alone', async (t) => {
  const path = join(t.testdir(), 'file');
  writeFileSync(path, 'precious');
  const options = { socket: path, dependencies: new Services().dependencies(), log: silent() };
  await t.rejects(serveCri(options), { reason: 'SOCKET_IN_USE', message: /is not a socket/ });
  t.ok(existsSync(path));
  await t.rejects(serveCri({ ...options, socket: `/tmp/${'x'.repeat(120)}` }), { reason: 'CONFIG_INVALID', message: /107 bytes/ });
});

t.test(':authority may be any host; one that no host can be is refused by Node itself', async (t) => {
  const { socket } = await started(t);
  for (const authority of ['localhost', 'berth', '%2Frun%2Fberth.sock', '[::1]:1', 'unix:berth']) {
    t.equal(await rawCall(socket, { ':authority': authority }), '0', `authority ${JSON.stringify(authority)}`);
  }
  for (const authority of ['/run/berth/berth.sock', '']) {
    t.equal(await rawCall(socket, { ':authority': authority }), 'NGHTTP2_PROTOCOL_ERROR', `authority ${JSON.stringify(authority)}`);
  }
});

t.test('a stop of the daemon ends streams as Unavailable', async (t) => {
  const harness = new Harness();
  t.teardown(() => harness[Symbol.asyncDispose]());
  const server = await harness.start();
  const ended = failure(harness.client.all('GetContainerEvents', {}));
  await until(() => harness.services.events.subscribers === 1);
  await server[Symbol.asyncDispose]();
  t.match(await ended, { code: 'UNAVAILABLE', reason: 'STOPPING' });
});

/** Calls StopContainer with headers of our choice; grpc-status, or the name of the stream's error code. */
async function rawCall(socket: string, headers: Record<string, string>): Promise<string> {
  const session = connectHttp2('http://localhost', { createConnection: () => connectSocket(socket) });
  const { promise, resolve } = Promise.withResolvers<string>();
  session.on('error', () => undefined);
  const stream = session.request({
    ':method': 'POST',
    ':path': runtimeService.StopContainer.path,
    ':authority': 'localhost',
    te: 'trailers',
    'content-type': 'application/grpc',
    ...headers,
  });
  stream.on('response', (response) => response['grpc-status'] !== undefined && resolve(String(response['grpc-status'])));
  stream.on('trailers', (trailers) => resolve(String(trailers['grpc-status'])));
  stream.on('error', () => resolve(codeName(stream.rstCode)));
  stream.resume();
  const message = runtimeService.StopContainer.request.encode({ containerId: 'c' }).finish();
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.byteLength, 1);
  stream.end(Buffer.concat([frame, message]));
  try {
    return await promise;
  } finally {
    session.destroy();
  }
}

function codeName(code: number | undefined): string {
  return code === constants.NGHTTP2_PROTOCOL_ERROR ? 'NGHTTP2_PROTOCOL_ERROR' : String(code);
}

/** A socket file nobody listens on, as a killed daemon leaves it. */
async function leaveStaleSocket(path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.bound`, resolve));
  renameSync(`${path}.bound`, path); // close() unlinks the name it was bound to
  await new Promise((resolve) => server.close(resolve));
}

/** Polls; the test's own time limit ends it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

const silent = () => pino({ level: 'silent' });
