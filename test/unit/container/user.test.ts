/** Resolution of users and groups in an image's account files. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { readAccounts, resolveUser } from '../../../src/container/user.ts';
import { check, libcFunction } from '../../../src/sys/index.ts';

const FILES = {
  passwd: [
    '# comment',
    'root:x:0:0:root:/root:/bin/sh',
    'app:x:1000:1001::/:',
    '2000:x:77:78::/:',
    'broken',
    'bad:x:-1:0::/:',
    'huge:x:99999999999:0::/:',
    '',
  ].join('\n'),
  group: 'root:x:0:\nstaff:x:50:app,root\nextra:x:60:app\napp:x:1001:\nbroken:x\n',
};
type Security = Parameters<typeof resolveUser>[0]['security'];
const resolve = (imageUser: string, change: Partial<Security> = {}, files = FILES) =>
  resolveUser({ imageUser, security: { runAsUsername: '', supplementalGroups: [], supplementalGroupsPolicy: 'merge', ...change } }, files);

t.test('the image’s USER in all its forms', async (t) => {
  t.strictSame(resolve(''), { uid: 0, gid: 0, supplementalGroups: [0, 50] });
  t.strictSame(resolve('app'), { uid: 1000, gid: 1001, supplementalGroups: [50, 60, 1001] });
  t.strictSame(resolve('1000'), resolve('app'), 'by number, the same account');
  t.strictSame(resolve('app:staff'), { uid: 1000, gid: 50, supplementalGroups: [50, 60] });
  t.strictSame(resolve('app:7'), { uid: 1000, gid: 7, supplementalGroups: [7, 50, 60] });
  t.strictSame(resolve('4711'), { uid: 4711, gid: 0, supplementalGroups: [0] }, 'a number that no account has');
  t.strictSame(
    resolve('2000'),
    { uid: 2000, gid: 0, supplementalGroups: [0] },
    'digits are a number, whatever account has them for a name',
  );
  t.strictSame(resolve('3000000000:4294967294'), { uid: 3_000_000_000, gid: 4_294_967_294, supplementalGroups: [4_294_967_294] });
  t.strictSame(resolve('1000:1000'), { uid: 1000, gid: 1000, supplementalGroups: [50, 60, 1000] });
  t.strictSame(resolve(':staff'), { uid: 0, gid: 50, supplementalGroups: [50] });
  t.strictSame(resolve('app:'), resolve('app'));
});

t.test('an account called like a number cannot make the number another user', async (t) => {
  const hostile = { passwd: 'root:x:0:0::/:\n1000:x:0:0::/:\n', group: '1000:x:0:\n' };
  // kubelet lets runAsNonRoot pass by these numbers
  t.match(resolve('', { runAsUser: 1000 }, hostile), { uid: 1000, gid: 0 }, 'not the pod’s');
  t.match(resolve('1000', {}, hostile), { uid: 1000 }, 'nor the image’s, which ImageStatus tells');
  t.match(resolve('1000:1000', {}, hostile), { uid: 1000, gid: 1000 }, 'nor a group');
  t.match(resolve('', { runAsUsername: '1000' }, hostile), { uid: 0 }, 'a name asked for as a name is one');
});

t.test('the pod’s choice replaces the image’s', async (t) => {
  t.strictSame(resolve('app:staff', { runAsUser: 0 }), { uid: 0, gid: 0, supplementalGroups: [0, 50] }, 'with the image’s group too');
  t.strictSame(resolve('', { runAsUser: 1000, runAsGroup: 9 }), { uid: 1000, gid: 9, supplementalGroups: [9, 50, 60] });
  t.strictSame(resolve('', { runAsUsername: 'app' }), resolve('app'));
  t.strictSame(resolve('', { runAsUser: 1000, supplementalGroups: [70, 50] }).supplementalGroups, [50, 60, 70, 1001]);
  t.strictSame(
    resolve('', { runAsUser: 1000, supplementalGroups: [70], supplementalGroupsPolicy: 'strict' }).supplementalGroups,
    [70, 1001],
    'strict: none of the image',
  );
});

t.test('what cannot be resolved is refused', async (t) => {
  t.throws(() => resolve('nobody'), { kind: 'invalid', message: /no user "nobody" in its \/etc\/passwd/ });
  t.throws(() => resolve('app:nogroup'), { kind: 'invalid', message: /no group "nogroup"/ });
  t.throws(() => resolve('', { runAsGroup: 5 }), { kind: 'invalid', message: /run_as_group/ });
  t.throws(() => resolve('4294967295'), { name: 'RuntimeError', kind: 'invalid' }, '(uid_t)-1 means something else');
  t.throws(() => resolve('bad'), { name: 'RuntimeError', kind: 'invalid' }, 'a malformed line is no account');
});

t.test('the files are read inside the root file system only', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'berth-user-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const rootfs = join(directory, 'rootfs');
  mkdirSync(join(rootfs, 'etc'), { recursive: true });
  mkdirSync(join(rootfs, 'real'));
  writeFileSync(join(directory, 'outside'), 'evil:x:1:1::/:');
  t.strictSame(readAccounts(rootfs), { passwd: '', group: '' }, 'an image without them');
  symlinkSync('../../outside', join(rootfs, 'etc/passwd'));
  symlinkSync(join(directory, 'outside'), join(rootfs, 'etc/group'));
  t.strictSame(readAccounts(rootfs), { passwd: '', group: '' }, 'symlinks that lead out');
  rmSync(join(rootfs, 'etc/passwd'));
  rmSync(join(rootfs, 'etc/group'));
  writeFileSync(join(rootfs, 'real/passwd'), 'app:x:5:6::/:');
  symlinkSync('/real/passwd', join(rootfs, 'etc/passwd'));
  check(libcFunction('int mkfifo(const char *path, uint mode)')(join(rootfs, 'etc/group'), 0o644), 'mkfifo');
  t.strictSame(readAccounts(rootfs), { passwd: 'app:x:5:6::/:', group: '' }, 'an absolute one within; a FIFO does not hang');
});
