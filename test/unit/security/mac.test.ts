/** AppArmor and SELinux: what the kernel lacks is refused, not ignored. */
import t from 'tap';
import { resolveApparmor, resolveSelinux } from '../../../src/security/index.ts';

const NONE = { apparmor: false, selinux: false };
const BOTH = { apparmor: true, selinux: true };

t.test('apparmor', async (t) => {
  t.equal(resolveApparmor(undefined, NONE), undefined);
  t.equal(resolveApparmor({ type: 'unconfined', localhostRef: '' }, NONE), undefined);
  t.equal(resolveApparmor({ type: 'runtime-default', localhostRef: '' }, NONE), undefined, 'kubelet sends it everywhere');
  t.throws(() => resolveApparmor({ type: 'localhost', localhostRef: 'p' }, NONE), {
    kind: 'invalid',
    reason: 'UNSUPPORTED_SECURITY',
    message: /"p".*kernel has no AppArmor/,
  });
  t.throws(() => resolveApparmor({ type: 'localhost', localhostRef: '' }, BOTH), {
    reason: 'UNSUPPORTED_SECURITY',
    message: /without its name/,
  });
  t.throws(() => resolveApparmor({ type: 'localhost', localhostRef: 'no-such-profile' }, BOTH), {
    reason: 'UNSUPPORTED_SECURITY',
    message: /not loaded/,
  });
});

t.test('selinux', async (t) => {
  const options = { user: '', role: '', type: '', level: '' };
  t.equal(resolveSelinux(undefined, NONE), undefined);
  t.equal(resolveSelinux(options, NONE), undefined, 'empty is not asked for');
  t.throws(() => resolveSelinux({ ...options, level: 's0:c1' }, NONE), {
    reason: 'UNSUPPORTED_SECURITY',
    message: /kernel has no SELinux/,
  });
  t.equal(resolveSelinux({ ...options, level: 's0:c1,c2' }, BOTH), 'system_u:system_r:container_t:s0:c1,c2');
});
