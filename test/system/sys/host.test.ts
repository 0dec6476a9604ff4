/** Clock, capabilities, durability and the service manager's socket, against the real kernel. */
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  bootId,
  boundingCapabilities,
  check,
  closeFd,
  libcFunction,
  monotonicNs,
  nowNs,
  SysError,
  sdNotify,
  syncfs,
} from '../../../src/sys/index.ts';
import { openFdCount } from '../../fixtures/eventually.ts';

t.test('the wall clock agrees with JavaScript’s and is finer', async (t) => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const readings = Array.from({ length: 50 }, nowNs);
  const after = BigInt(Date.now() + 1) * 1_000_000n;
  t.ok(readings.every((reading) => reading >= before && reading <= after));
  t.ok(readings.some((reading) => reading % 1_000_000n !== 0n));
  const monotonic = monotonicNs();
  t.ok(monotonicNs() >= monotonic);
});

t.test('the boot has one id', async (t) => {
  t.match(bootId(), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  t.equal(bootId(), bootId());
});

t.test('capabilities are a copy that a caller cannot spoil', async (t) => {
  const capabilities = boundingCapabilities();
  t.ok(capabilities.has('CAP_SYS_ADMIN'), 'the suite runs as root');
  capabilities.clear();
  t.ok(boundingCapabilities().size > 0);
});

t.test('a failed call carries the name of its errno', async (t) => {
  const chdir = libcFunction('int chdir(const char *path)');
  t.throws(() => check(chdir('/nowhere'), 'chdir', '/nowhere'), {
    name: 'SysError',
    code: 'ENOENT',
    errno: 2,
    message: 'chdir /nowhere: ENOENT',
  });
  t.equal(check(chdir(process.cwd()), 'chdir'), 0);
  t.equal(new SysError(11, 'x').code, 'EAGAIN');
  t.equal(new SysError(4095, 'x').code, 'E4095');
});

t.test('syncfs returns for a directory and a file, and fails for what is not there', async (t) => {
  const before = openFdCount();
  await syncfs(tmpdir());
  await syncfs('/etc/hostname');
  await t.rejects(syncfs('/nowhere'), { code: 'ENOENT' });
  t.equal(openFdCount(), before);
});

t.test('the service manager is told, by path and in the abstract namespace', async (t) => {
  const path = join(tmpdir(), `berth-notify-${process.pid}`);
  for (const name of [path, `@berth-notify-${process.pid}`]) {
    const received = listen(t, name);
    process.env.NOTIFY_SOCKET = name;
    t.ok(sdNotify('READY=1\nSTATUS=näher'));
    t.equal(received(), 'READY=1\nSTATUS=näher');
  }
});

t.test('nobody who listens is no failure', async (t) => {
  t.teardown(() => delete process.env.NOTIFY_SOCKET);
  const before = openFdCount();
  for (const name of ['/nowhere/socket', 'relative', '', `/${'x'.repeat(200)}`]) {
    process.env.NOTIFY_SOCKET = name;
    t.notOk(sdNotify('READY=1'), name);
  }
  delete process.env.NOTIFY_SOCKET;
  t.notOk(sdNotify('READY=1'));
  t.equal(openFdCount(), before);
});

/** A unix datagram socket bound to `name`; returns how to take one datagram from it. */
function listen(t: Test, name: string): () => string {
  const socket = libcFunction('int socket(int domain, int type, int protocol)');
  const bind = libcFunction('int bind(int fd, void *address, uint length)');
  const recv = libcFunction('long recv(int fd, void *buffer, size_t size, int flags)');
  const MSG_DONTWAIT = 0x40;
  const fd = check(socket(1, 2 | 0o2000000, 0), 'socket');
  t.teardown(() => {
    closeFd(fd);
    rmSync(name, { force: true });
  });
  const address = Buffer.concat([Buffer.from([1, 0]), Buffer.from(name.replace(/^@/, '\0'))]);
  check(bind(fd, address, address.length), 'bind', name);
  return () => {
    const buffer = Buffer.alloc(4096);
    return buffer.toString('utf8', 0, check(recv(fd, buffer, buffer.length, MSG_DONTWAIT), 'recv'));
  };
}
