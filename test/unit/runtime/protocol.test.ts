/** The small parsers of the runtime folder: conmon's answer, features, limits, exit statuses, the probe's program. */
import t from 'tap';
import { parseFileLocks, withMark } from '../../../src/runtime/marked.ts';
import { monitorArguments, parseAnswer } from '../../../src/runtime/monitor.ts';
import { parseFeatures } from '../../../src/runtime/probe.ts';
import { PROBE_EXIT_CODE, probeProgram } from '../../../src/runtime/probe-program.ts';
import { exitCodeOf } from '../../../src/runtime/status.ts';

t.test('conmon’s answer', async (t) => {
  t.strictSame(parseAnswer('{"data": 4711}\n'), { pid: 4711 });
  t.strictSame(parseAnswer('{"data": -1, "message": "it broke\\n"}\n'), { log: 'it broke\n' });
  t.strictSame(parseAnswer('{"data": -1}\n'), { log: '' });
  t.strictSame(parseAnswer('{"data": -1, "message": "cut'), { log: '{"data": -1, "message": "cut' });
  t.equal(parseAnswer(''), undefined);
});

t.test('conmon’s command line follows the request', async (t) => {
  const handler = { name: 'runc', path: '/usr/sbin/runc', root: '/run/berth/oci/runc', cgroupDriver: 'systemd' as const };
  const request = {
    id: 'i',
    handler: 'runc',
    bundleDir: '/b',
    logPath: '',
    terminal: false,
    stdin: false,
    stdinOnce: false,
    monitorCgroup: '',
  };
  const plan = { conmon: 'conmon', handler, exitDir: '/e', request, place: () => undefined };
  const plain = monitorArguments(plan);
  for (const wanted of [
    '--sync',
    '--cid=i',
    '--bundle=/b',
    '--exit-dir=/e',
    '--log-path=none',
    '--runtime=/usr/sbin/runc',
    '--runtime-arg=--root=/run/berth/oci/runc',
    '--runtime-arg=--systemd-cgroup',
  ]) {
    t.ok(plain.includes(wanted), wanted);
  }
  for (const absent of ['--stdin', '--terminal', '--leave-stdin-open']) t.notOk(plain.includes(absent), absent);
  const withStdin = monitorArguments({ ...plan, request: { ...request, stdin: true, terminal: true, logPath: '/l' } });
  for (const wanted of ['--stdin', '--terminal', '--leave-stdin-open', '--log-path=k8s-file:/l']) t.ok(withStdin.includes(wanted), wanted);
  t.notOk(monitorArguments({ ...plan, request: { ...request, stdin: true, stdinOnce: true } }).includes('--leave-stdin-open'));
});

t.test('features are credited only when proved', async (t) => {
  const none = { recursiveReadOnlyMounts: false, idmapMounts: false };
  for (const text of ['', '{}', 'null', 'garbage', '{"mountOptions":"rro"}', '{"linux":{"mountExtensions":{"idmap":{}}}}'])
    t.strictSame(parseFeatures(text), none, text);
  t.strictSame(parseFeatures('{"mountOptions":["ro","rro"],"linux":{"mountExtensions":{"idmap":{"enabled":true}}}}'), {
    recursiveReadOnlyMounts: true,
    idmapMounts: true,
  });
});

t.test('the mark is one resource limit, and replaces one of its kind', async (t) => {
  const limit = { type: 'RLIMIT_NOFILE', soft: 1, hard: 2 };
  t.strictSame(withMark({ args: ['x'], rlimits: [limit, { type: 'RLIMIT_LOCKS', soft: 1, hard: 1 }] }, 7), {
    args: ['x'],
    rlimits: [limit, { type: 'RLIMIT_LOCKS', soft: 7, hard: 7 }],
  });
  t.strictSame(withMark({}, 7), { rlimits: [{ type: 'RLIMIT_LOCKS', soft: 7, hard: 7 }] });
});

t.test('file locks in /proc/PID/limits', async (t) => {
  const limits = (locks: string): string =>
    `Limit                     Soft Limit           Hard Limit           Units     \nMax file locks            ${locks}            locks     \nMax pending signals       9 9 signals\n`;
  t.equal(parseFileLocks(limits('281474976710657 281474976710657')), 281474976710657);
  t.equal(parseFileLocks(limits('unlimited       unlimited')), undefined);
  t.equal(parseFileLocks(''), undefined);
});

t.test('exit statuses', async (t) => {
  t.equal(exitCodeOf({ code: 3, signal: undefined }), 3);
  t.equal(exitCodeOf({ code: undefined, signal: 9 }), 137);
  t.equal(exitCodeOf({ code: undefined, signal: undefined }), undefined);
});

t.test('the probe’s program is a static ELF for the machine asked for', async (t) => {
  for (const [architecture, machine] of [
    ['x64', 62],
    ['arm64', 183],
  ] as const) {
    const elf = probeProgram(architecture)!;
    t.strictSame([...elf.subarray(0, 4)], [0x7f, 0x45, 0x4c, 0x46]);
    t.equal(elf.readUInt16LE(18), machine);
    t.equal(elf.readBigUInt64LE(24), 0x400000n + 120n, 'the entry is the first byte after the headers');
  }
  t.equal(probeProgram('arm64')!.readUInt32LE(120), (0xd2800000 | (PROBE_EXIT_CODE << 5)) >>> 0, 'mov x0, #42');
  t.equal(probeProgram('mips'), undefined);
});
