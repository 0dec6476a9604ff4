import t from 'tap';
import { resolvConfText } from '../../../src/sandbox/files.ts';
import type { SandboxSpec } from '../../../src/sandbox/index.ts';
import { sysctlPath } from '../../../src/sandbox/sysctl.ts';
import { validateSandbox } from '../../../src/sandbox/validate.ts';
import { aPod } from '../../fixtures/container-spec.ts';

const spec = (change: Partial<SandboxSpec> = {}): SandboxSpec => aPod({ hostname: 'p', ...change });

t.test('an ordinary pod is accepted', async () => validateSandbox(spec()));

t.test('combinations no pod can have are refused with words', async (t) => {
  const ns = (change: Partial<SandboxSpec['namespaces']>): SandboxSpec =>
    spec({ namespaces: { network: 'pod', pid: 'container', ipc: 'pod', ...change } });
  t.throws(() => validateSandbox(ns({ network: 'container' })), { kind: 'invalid', message: /network namespace is POD or NODE/ });
  t.throws(() => validateSandbox(ns({ ipc: 'target' })), { kind: 'invalid', message: /ipc namespace is POD or NODE/ });
  t.throws(() => validateSandbox(ns({ pid: 'target' })), { kind: 'invalid', message: /TARGET is for containers/ });
  t.throws(() => validateSandbox(spec({ hostname: '' })), { kind: 'invalid', message: /hostname is empty/ });
  validateSandbox(spec({ hostname: '', namespaces: { network: 'node', pid: 'container', ipc: 'pod' } }));
});

t.test('only sysctls of the pod’s own namespaces may be set', async (t) => {
  validateSandbox(
    spec({
      sysctls: {
        'net.core.somaxconn': '1',
        'kernel.shm_rmid_forced': '1',
        'fs.mqueue.msg_max': '9',
        'net/ipv4/conf/eth0.1/arp_filter': '1',
      },
    }),
  );
  for (const name of ['vm.swappiness', 'kernel.panic', 'fs.file-max', 'net..x', '../x', 'net.core./../../../etc', '']) {
    t.throws(
      () => validateSandbox(spec({ sysctls: { [name]: '1' } })),
      { name: 'RuntimeError', reason: 'SYSCTL_FAILED', kind: 'invalid' },
      name,
    );
  }
  const host = { network: 'node', pid: 'container', ipc: 'node' } as const;
  t.throws(() => validateSandbox(spec({ namespaces: host, sysctls: { 'net.core.somaxconn': '1' } })), { message: /host’s network/ });
  t.throws(() => validateSandbox(spec({ namespaces: host, sysctls: { 'kernel.shmmax': '1' } })), { message: /host’s ipc/ });
});

t.test('a sysctl name with slashes keeps its dots', async (t) => {
  t.equal(sysctlPath('net.core.somaxconn'), '/proc/sys/net/core/somaxconn');
  t.equal(sysctlPath('net/ipv4/conf/eth0.1/arp_filter'), '/proc/sys/net/ipv4/conf/eth0.1/arp_filter');
});

t.test('resolv.conf as resolv.conf(5) wants it', async (t) => {
  t.equal(
    resolvConfText({ servers: ['10.0.0.1', 'fd00::1'], searches: ['a.b', 'c'], options: ['ndots:5'] }),
    'nameserver 10.0.0.1\nnameserver fd00::1\nsearch a.b c\noptions ndots:5\n',
  );
  t.equal(resolvConfText({ servers: [], searches: [], options: [] }), '');
});
