/** The RuntimeDefault profile for different capabilities, and profiles of the node. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { defaultSeccomp, loadSeccomp, type SeccompProfile } from '../../../src/security/index.ts';
import { ALLOWED, ALLOWED_ON } from '../../../src/security/syscalls.ts';

const allowed = (profile: SeccompProfile): Set<string> =>
  new Set(profile.syscalls?.filter((rule) => rule.action === 'SCMP_ACT_ALLOW' && rule.args === undefined).flatMap((rule) => rule.names));

t.test('without capabilities: everyday calls pass, the dangerous do not', async (t) => {
  const profile = defaultSeccomp(new Set(), 'x64');
  const names = allowed(profile);
  t.match(profile, {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 1,
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  });
  for (const name of ['openat2', 'execve', 'futex', 'epoll_pwait2', 'statx', 'arch_prctl', 'rseq', 'close_range', 'landlock_restrict_self'])
    t.ok(names.has(name), name);
  for (const name of [
    'mount',
    'unshare',
    'setns',
    'clone',
    'clone3',
    'bpf',
    'io_uring_setup',
    'keyctl',
    'add_key',
    'request_key',
    'userfaultfd',
    'kexec_load',
    'init_module',
    'reboot',
    'swapon',
    'open_by_handle_at',
    'perf_event_open',
    'settimeofday',
    'iopl',
    'nfsservctl',
    'chroot',
    'socket',
    'personality',
  ]) {
    t.notOk(names.has(name), name);
  }
});

t.test('clone without new namespaces, clone3 as if it did not exist', async (t) => {
  const rules = defaultSeccomp(new Set(), 'x64').syscalls ?? [];
  const [clone] = rules.filter((rule) => rule.names.includes('clone'));
  const mask = [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000].reduce((sum, flag) => sum + flag, 0); // clone(2) CLONE_NEW*
  t.match(clone, { action: 'SCMP_ACT_ALLOW', args: [{ index: 0, value: mask, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }] });
  t.match(
    rules.filter((rule) => rule.names.includes('clone3')),
    [{ action: 'SCMP_ACT_ERRNO', errnoRet: 38 }],
  );
});

t.test('capabilities open what they are for, once', async (t) => {
  const admin = defaultSeccomp(new Set(['CAP_SYS_ADMIN']), 'x64');
  for (const name of ['mount', 'unshare', 'clone', 'clone3']) t.ok(allowed(admin).has(name), name);
  t.equal(admin.syscalls?.filter((rule) => rule.names.includes('clone3')).length, 1);
  t.notOk(allowed(admin).has('chroot'));
  t.ok(allowed(defaultSeccomp(new Set(['CAP_SYS_CHROOT']), 'x64')).has('chroot'));
  const both = defaultSeccomp(new Set(['CAP_SYSLOG', 'CAP_SYS_ADMIN']), 'x64').syscalls?.[0]?.names ?? [];
  t.equal(both.filter((name) => name === 'syslog').length, 1);
});

t.test('arguments: no vsock, only harmless personalities', async (t) => {
  const rules = defaultSeccomp(new Set(), 'arm64').syscalls ?? [];
  t.match(
    rules.filter((rule) => rule.names.includes('socket')),
    [{ args: [{ index: 0, value: 40, op: 'SCMP_CMP_NE' }] }],
  );
  t.strictSame(
    rules.filter((rule) => rule.names.includes('personality')).map((rule) => rule.args?.[0]?.value),
    [0, 8, 0x20000, 0x20008, 0xffffffff],
  );
});

t.test('architectures', async (t) => {
  t.strictSame(defaultSeccomp(new Set(), 'arm64').architectures, ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM']);
  t.equal(defaultSeccomp(new Set(), 'riscv64').architectures, undefined, 'the native one is implied');
  t.notOk(allowed(defaultSeccomp(new Set(), 'arm64')).has('arch_prctl'));
});

t.test('no call is in the table twice', async (t) => {
  const all = [...Object.values(ALLOWED).flat(), ...Object.values(ALLOWED_ON).flat()];
  t.strictSame(
    all.filter((name, index) => all.indexOf(name) !== index),
    [],
  );
  t.strictSame(
    all.filter((name) => !/^[a-z_][a-z0-9_]*$/.test(name)),
    [],
  );
});

t.test('profiles of the node: what is wrong is said with the path', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'berth-seccomp-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'p.json');
  const reject = (message: RegExp, at = path): void => {
    t.throws(() => loadSeccomp(at), { kind: 'invalid', reason: 'UNSUPPORTED_SECURITY', message });
  };
  reject(/p\.json cannot be used: there is no such file on this node; put it there/);
  reject(/not absolute/, 'relative.json');
  reject(/EISDIR/, directory);
  const cases: [string, RegExp][] = [
    ['{', /not JSON/],
    ['[]', /not a JSON object/],
    ['{}', /defaultAction is missing/],
    ['{"defaultAction":"ALLOW"}', /defaultAction/],
    ['{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"x"}]}', /syscalls is not a list/],
  ];
  for (const [text, message] of cases) {
    writeFileSync(path, text);
    reject(message);
  }
  writeFileSync(path, '{"defaultAction":"SCMP_ACT_LOG"}');
  t.strictSame(loadSeccomp(path), { defaultAction: 'SCMP_ACT_LOG' });
});
