/** The configuration that berth builds, run by real runc: what is confined, and what must go on working. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { buildSpec } from '../../../src/container/oci-spec.ts';
import { gatherDevices } from '../../../src/container/spec-devices.ts';
import { gatherHostFacts } from '../../../src/container/spec-host.ts';
import { confinementOf } from '../../../src/container/spec-security.ts';
import type { ContainerSecurity, ContainerSpec } from '../../../src/container/types.ts';
import { readAccounts, resolveUser } from '../../../src/container/user.ts';
import { hostLayout } from '../../fixtures/cgroup-layout.ts';
import { anImage, aSandbox, aSpec } from '../../fixtures/container-spec.ts';
import { missingForContainers, openLab } from '../../fixtures/oci-bundle.ts';

const missing = missingForContainers();
const skip = missing === undefined ? false : `needs ${missing}`;
const signal = AbortSignal.timeout(100_000);

/** Runs a shell script in a container made by buildSpec; returns its log lines without times, and its exit code. */
async function run(
  t: Test,
  script: string,
  options: { spec?: Partial<ContainerSpec>; security?: Partial<ContainerSecurity> } = {},
): Promise<{ code: number | undefined; out: string }> {
  const lab = await openLab(t);
  const spec = aSpec(
    { command: ['sh', '-c', `exec 2>&1; ${script}`] /* in one pipe, so in order */, ...options.spec },
    { seccomp: { type: 'runtime-default', localhostRef: '' }, ...options.security },
  );
  const bundle = lab.bundle({ args: [] });
  const rootfs = join(lab.dir, 'rootfs');
  writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\nalice:x:1000:1001::/:/bin/sh\n');
  writeFileSync(join(rootfs, 'etc/group'), 'root:x:0:\nstaff:x:50:alice\n');
  const shm = mkdtempSync(join(tmpdir(), 'berth-shm-'));
  t.teardown(() => rmSync(shm, { recursive: true, force: true }));
  const [handler] = lab.runtime.handlers;
  const facts = gatherHostFacts(hostLayout());
  const { config } = buildSpec({
    spec,
    image: anImage(),
    sandbox: aSandbox(),
    files: { shm },
    volumes: spec.mounts,
    devices: await gatherDevices(spec.devices, spec.security.privileged),
    confinement: confinementOf(spec.security, facts),
    user: resolveUser({ imageUser: '', security: spec.security }, readAccounts(rootfs)),
    rootfs,
    cgroupsPath: bundle.cgroup,
    handler: handler!,
    facts,
    pidsLimit: 64,
  });
  writeFileSync(join(bundle.bundleDir, 'config.json'), JSON.stringify(config));
  await lab.runtime.create(bundle.request, signal);
  await lab.runtime.start(bundle.id, 'runc', signal);
  const { exitCode } = await lab.exitOf(bundle.id);
  await lab.runtime.delete(bundle.id, 'runc', bundle.bundleDir);
  const out = readFileSync(bundle.logPath, 'utf8').replace(/^\S+ (?:stdout|stderr) [FP] /gm, '');
  return { code: exitCode, out };
}

t.test('normal programs run under the default profile', { skip }, async (t) => {
  const { code, out } = await run(
    t,
    'echo $PATH; id; (sleep 0.01 & wait); ls / >/dev/null && cat /proc/self/status | head -n 1; head -c 1 /dev/zero >/tmp/f; mkdir /dev/shm/d && pwd',
  );
  t.equal(code, 0, out);
  t.match(out, /^\/usr\/local\/sbin:.*\nuid=0\(root\) gid=0\(root\) groups=0\(root\)\nName:\s+head|cat/);
});

t.test('new namespaces and mounts are refused by seccomp, not by chance', { skip }, async (t) => {
  const script = 'unshare -U true; echo $?; unshare -m true; echo $?; mount -t tmpfs none /tmp; echo $?';
  const confined = await run(t, script);
  t.match(
    confined.out,
    /unshare[^\n]*Operation not permitted\n1\nunshare[^\n]*Operation not permitted\n1\nmount[^\n]*(?:denied|not permitted)[^\n]*\n(?:1|255|32)/i,
  );
  const unconfined = await run(t, 'unshare -U true; echo $?', { security: { seccomp: { type: 'unconfined', localhostRef: '' } } });
  t.match(unconfined.out, /^0\n/, 'a user namespace can be made without the profile');
  const admin = await run(t, script, { security: { addCapabilities: ['SYS_ADMIN'] } });
  t.match(admin.out, /^0\n0\n0\n/, 'and with the capability that the calls are for');
});

t.test('a profile of the node is applied', { skip }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'berth-seccomp-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'no-mkdir.json');
  writeFileSync(
    path,
    JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 }] }),
  );
  const { out } = await run(t, 'busybox mkdir /tmp/d; echo $?', { security: { seccomp: { type: 'localhost', localhostRef: path } } });
  t.match(out, /not permitted\n1\n/);
});

t.test('capabilities, user and groups are what was asked for', { skip }, async (t) => {
  const sets = 'while read -r k v; do case $k in CapPrm:|CapBnd:|CapAmb:|NoNewPrivs:) echo $k $v;; esac; done </proc/self/status';
  const root = await run(t, sets, { security: { dropCapabilities: ['ALL'], addCapabilities: ['CHOWN'], noNewPrivs: true } });
  t.match(root.out, /CapPrm: 0000000000000001\nCapBnd: 0000000000000001\nCapAmb: 0000000000000000\nNoNewPrivs: 1/);
  const alice = await run(t, `id; ${sets}`, {
    security: {
      runAsUsername: 'alice',
      supplementalGroups: [4000],
      dropCapabilities: ['ALL'],
      addAmbientCapabilities: ['NET_BIND_SERVICE'],
    },
  });
  t.match(alice.out, /^uid=1000\(alice\) gid=1001 groups=50\(staff\),1001,4000\n/);
  t.match(alice.out, /CapPrm: 0000000000000400\nCapBnd: 0000000000000400\nCapAmb: 0000000000000400/);
});

t.test('privileged: all there is, no profile, every device', { skip }, async (t) => {
  const { out, code } = await run(
    t,
    'mount -t tmpfs none /tmp && echo mounted; [ -w /proc/sys/kernel/domainname ] && echo open; ls /dev | busybox wc -l',
    {
      security: { privileged: true },
    },
  );
  t.equal(code, 0, out);
  t.match(out, /^mounted\nopen\n/);
});

t.test('/proc and /sys are read-only where they tell of the host; limits and volumes hold', { skip }, async (t) => {
  const volume = mkdtempSync(join(tmpdir(), 'berth-volume-'));
  t.teardown(() => rmSync(volume, { recursive: true }));
  for (const name of ['sub', 'w']) mkdirSync(join(volume, name));
  const mount = {
    readonly: true,
    recursiveReadOnly: false,
    selinuxRelabel: false,
    propagation: 'private' as const,
    uidMappings: [],
    gidMappings: [],
    imageSubPath: '',
    options: ['noexec'],
  };
  const { out } = await run(
    t,
    'echo 1 2>/dev/null >/proc/sys/vm/drop_caches || echo proc; busybox touch /sys/x 2>/dev/null || echo sys; busybox wc -c </proc/interrupts; busybox touch /v/sub/f || echo v; busybox touch /v/w/f && echo w; ulimit -n',
    {
      spec: {
        mounts: [
          { ...mount, readonly: false, containerPath: '/v/w', hostPath: join(volume, 'sub') },
          { ...mount, containerPath: '/v', hostPath: volume },
        ],
      },
    },
  );
  t.match(out, /^proc\nsys\n0\n.*[Rr]ead-only file system\nv\nw\n\d+\n$/);
});
