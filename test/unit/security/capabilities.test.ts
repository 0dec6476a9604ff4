/** Adding, dropping and clamping of capabilities. */
import t from 'tap';
import { resolveCapabilities } from '../../../src/security/index.ts';

const HOST = new Set(['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_RAW', 'CAP_NET_ADMIN', 'CAP_NET_BIND_SERVICE', 'CAP_SETUID', 'CAP_SYS_ADMIN']);
const ask = (change: Partial<Parameters<typeof resolveCapabilities>[0]> = {}, host = HOST) =>
  resolveCapabilities({ add: [], drop: [], addAmbient: [], privileged: false, ...change }, host);
const DEFAULTS_HERE = ['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_BIND_SERVICE', 'CAP_NET_RAW', 'CAP_SETUID'];

t.test('the default set, as far as the host has it, in three sets and not inheritable', async (t) => {
  t.strictSame(ask(), {
    bounding: DEFAULTS_HERE,
    effective: DEFAULTS_HERE,
    permitted: DEFAULTS_HERE,
    inheritable: [],
    ambient: [],
    clamped: [],
  });
});

t.test('names in any form', async (t) => {
  for (const name of ['NET_ADMIN', 'CAP_NET_ADMIN', 'cap_net_admin', 'net_admin'])
    t.ok(ask({ add: [name] }).bounding.includes('CAP_NET_ADMIN'), name);
  t.strictSame(ask({ drop: ['all'] }).bounding, []);
  t.throws(() => ask({ add: ['NET_ADMIM'] }), { kind: 'invalid', reason: 'INVALID_ARGUMENT', message: /"NET_ADMIM"/ });
  t.throws(() => ask({ drop: ['nope'] }), { name: 'RuntimeError', reason: 'INVALID_ARGUMENT' });
});

t.test('ALL before names', async (t) => {
  t.strictSame(ask({ drop: ['ALL'], add: ['CHOWN'] }).bounding, ['CAP_CHOWN']);
  t.strictSame(ask({ add: ['ALL'] }).bounding, [...HOST].sort());
  t.strictSame(ask({ add: ['ALL'], drop: ['SYS_ADMIN', 'NET_ADMIN'] }).bounding, DEFAULTS_HERE);
  t.strictSame(ask({ add: ['ALL'], drop: ['ALL'] }).bounding, [], 'dropping everything wins');
  t.strictSame(
    ask({ add: ['CHOWN'], drop: ['CHOWN', 'KILL', 'NET_RAW', 'SETUID', 'NET_BIND_SERVICE'] }).bounding,
    [],
    'a name in both is dropped',
  );
});

t.test('privileged is everything the host lets berth give', async (t) => {
  t.strictSame(ask({ privileged: true, drop: ['CHOWN'] }).bounding, [...HOST].sort());
});

t.test('what was asked for by name and cannot be given is told; ALL is not a name', async (t) => {
  t.strictSame(ask({ add: ['SYS_RESOURCE', 'SYS_TIME', 'CHOWN'] }).clamped, ['CAP_SYS_RESOURCE', 'CAP_SYS_TIME']);
  t.strictSame(ask({ add: ['ALL'] }).clamped, []);
  t.strictSame(ask({ add: ['SYS_TIME'], drop: ['SYS_TIME'] }).clamped, [], 'nor is what was dropped again');
});

t.test('ambient ones are in every set', async (t) => {
  const sets = ask({ drop: ['ALL'], addAmbient: ['NET_BIND_SERVICE', 'SYS_TIME'] });
  for (const set of ['bounding', 'permitted', 'effective', 'inheritable', 'ambient'] as const)
    t.strictSame(sets[set], ['CAP_NET_BIND_SERVICE'], set);
  t.strictSame(sets.clamped, ['CAP_SYS_TIME']);
});
