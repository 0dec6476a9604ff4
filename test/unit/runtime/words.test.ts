/** Words of crun and runc as they were seen (runc 1.1.5, crun 1.8.1), and what berth makes of them. */
import t from 'tap';
import { explain, saysNoProcess } from '../../../src/runtime/words.ts';

const runc = (message: string): string => `${JSON.stringify({ level: 'error', msg: message, time: '2026-08-01T00:00:00Z' })}\n`;
const NOT_FOUND = 'check the command and its path inside the image';

t.test('a missing program is told alike by both runtimes', async (t) => {
  const absolute = { blame: 'program', words: 'exec: "/nope": no such file or directory', advice: NOT_FOUND };
  t.strictSame(
    explain(runc('runc create failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory'), '/nope'),
    absolute,
  );
  t.strictSame(
    explain(runc('exec failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory'), '/nope'),
    absolute,
  );
  t.strictSame(explain('executable file `/nope` not found in $PATH: No such file or directory\n', '/nope'), absolute);
  t.strictSame(
    explain('2026-08-01T10:00:00.123456Z: executable file `/nope` not found in $PATH: No such file or directory', '/nope'),
    absolute,
  );
  const relative = { blame: 'program', words: 'exec: "nope": executable file not found in $PATH', advice: NOT_FOUND };
  t.strictSame(
    explain(runc('runc create failed: unable to start container process: exec: "nope": executable file not found in $PATH'), 'nope'),
    relative,
  );
  t.strictSame(explain('executable file `nope` not found in $PATH: No such file or directory', 'nope'), relative);
});

t.test('a program that may not be run', async (t) => {
  const wanted = { blame: 'program', words: 'exec: "/x": permission denied' };
  t.match(explain(runc('runc create failed: unable to start container process: exec: "/x": permission denied'), '/x'), wanted);
  t.match(explain('open executable: Permission denied\n', '/x'), wanted, 'crun leaves the name out');
  t.match(explain('open executable: Operation not permitted\n', '/x'), { blame: 'program', words: 'exec: "/x": operation not permitted' });
});

t.test('a working directory that is none', async (t) => {
  t.match(explain('chdir `/bin/sh`: Not a directory\n', 'x'), {
    blame: 'program',
    words: 'chdir to cwd ("/bin/sh"): not a directory',
    advice: /working directory/,
  });
});

t.test('logfmt lines: the error is picked from among warnings, its detail kept', async (t) => {
  const log = [
    'time="2026-08-01T00:00:00Z" level=warning msg="Failed to remove cgroup (will retry)" error="rmdir x: busy"',
    'time="2026-08-01T00:00:00Z" level=error msg="runc create failed: unable to start container process: error during container init: mkdir /bin/sh: not a directory"',
  ].join('\n');
  t.match(explain(log, 'sh'), { blame: 'program', words: 'mkdir /bin/sh: not a directory', advice: /working directory/ });
  t.match(
    explain('level=warning msg="rmdir failed" error="x: busy"', ''),
    { words: 'rmdir failed: x: busy' },
    'without an error, everything',
  );
});

t.test('what differs from run to run is taken out', async (t) => {
  const id = 'ab'.repeat(32);
  const words = (text: string): string => explain(runc(text), '').words;
  t.equal(
    words(`error mounting "/run/berth/ctr/${id}/rootfs" to rootfs: open /proc/4711/ns/net: no such file or directory`),
    'error mounting "/run/berth/ctr/ID/rootfs" to rootfs: open /proc/PID/ns/net: no such file or directory',
  );
  t.equal(words('cannot join pid 812, /proc/self/fd/7 is gone.\n'), 'cannot join pid PID, a descriptor is gone');
  t.ok(words('x'.repeat(5000)).length < 1100);
});

t.test('failures of the container are not blamed on the program', async (t) => {
  const cases = [
    ['error mounting "/a" to rootfs at "/b": not a directory', /volumes/],
    ['container init was OOM-killed (memory limit too low?)', /memory limit/],
    ['error setting cgroup config for procHooks process: invalid argument', /cgroups/],
    ['cgroups in hybrid mode not supported, drop all controllers from cgroupv2', /cgroups/],
    ['write /x: no space left on device', /free space/],
    ['something entirely new', /doctor/],
  ] as const;
  for (const [text, advice] of cases) t.match(explain(runc(text), '/x'), { blame: 'container', words: text, advice });
});

t.test('silence and fragments', async (t) => {
  t.equal(explain('', 'x').words, 'it gave no reason');
  t.equal(explain('{"level":"error","msg":"cut in the mid', 'x').words, '{"level":"error","msg":"cut in the mid');
});

t.test('a process that has ended already', async (t) => {
  t.ok(saysNoProcess(runc('os: process already finished')));
  t.ok(saysNoProcess('kill container: No such process'));
  t.ok(saysNoProcess(runc('container not running')));
  t.notOk(saysNoProcess(runc('permission denied')));
});
