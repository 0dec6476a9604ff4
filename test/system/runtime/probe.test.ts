/** Probing of OCI runtimes: what works here is found by running it. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createOciRuntime } from '../../../src/runtime/index.ts';
import { findProgram } from '../../../src/sys/index.ts';
import { cgroupsNamed, missingForContainers, openLab } from '../../fixtures/oci-bundle.ts';

const missing = missingForContainers();
const skip = missing === undefined ? false : `needs ${missing}`;

t.test('a runtime that works, one that is absent, one that fails', { skip }, async (t) => {
  const lab = await openLab(t);
  writeFileSync(join(lab.dir, 'lying'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  const runtime = await createOciRuntime({
    ...lab.options,
    handlers: [
      { name: 'absent', path: 'no-such-runtime' },
      { name: 'lying', path: join(lab.dir, 'lying') },
      { name: 'runc', path: 'runc' },
    ],
  });
  t.teardown(() => runtime.close());
  const [absent, lying, runc] = runtime.handlers;
  t.match(absent, { usable: false, problem: 'no-such-runtime is not installed' });
  t.match(lying, { usable: false, problem: 'it ended with code 0' }, 'success without the program’s own exit code proves nothing');
  t.match(runc, { usable: true, problem: '', version: /^runc version \d/, path: findProgram('runc') });
  t.equal(runtime.resolve('').name, 'runc', 'the first that works is the default');
  t.equal(runtime.resolve('runc').name, 'runc');
  t.throws(() => runtime.resolve('absent'), { kind: 'precondition', reason: 'NO_USABLE_RUNTIME', message: /absent .*not installed/ });
  t.throws(() => runtime.resolve('kata'), {
    kind: 'invalid',
    reason: 'UNKNOWN_RUNTIME_HANDLER',
    message: /"kata" .*use one of: absent, lying, runc/,
  });
  t.strictSame(readdirSync(lab.options.probeDir), [], 'no directory is left');
  t.strictSame(cgroupsNamed('berth-probe-'), [], 'no cgroup is left');
  t.strictSame(await runtime.known(), []);
});

t.test(
  'crun tells in its own words when this host does not suit it',
  { skip: skip || (findProgram('crun') === undefined && 'needs crun') },
  async (t) => {
    const lab = await openLab(t, [{ name: 'crun', path: 'crun' }]);
    const [crun] = lab.runtime.handlers;
    t.match(crun, { version: /^crun version \d/ });
    if (crun?.usable) t.equal(crun.problem, '');
    else {
      t.comment(`crun: ${crun?.problem}`);
      t.match(crun?.problem, /cgroup/i, 'the layout of the cgroups is the one thing that may be wrong with this host');
      t.throws(() => lab.runtime.resolve(''), { reason: 'NO_USABLE_RUNTIME', message: new RegExp(crun?.problem.slice(0, 20) ?? '') });
    }
    t.strictSame(cgroupsNamed('berth-probe-'), []);
    t.notOk(existsSync(join(lab.options.runtimeRoot, 'crun', 'probe')));
  },
);
