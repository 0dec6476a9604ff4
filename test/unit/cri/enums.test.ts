/** Enumerations both ways, without a hole and without a guess. */
import t from 'tap';
import * as enums from '../../../src/cri/enums.ts';
import { cri, operator } from '../../../src/gen/index.ts';

const TABLES = [
  [enums.protocols, cri.Protocol],
  [enums.propagations, cri.MountPropagation],
  [enums.namespaceModes, cri.NamespaceMode],
  [enums.groupPolicies, cri.SupplementalGroupsPolicy],
  [enums.profileTypes, cri.SecurityProfile.ProfileType],
  [enums.sandboxStates, cri.PodSandboxState],
  [enums.containerStates, cri.ContainerState],
  [enums.eventTypes, cri.ContainerEventType],
  [enums.cgroupDrivers, cri.CgroupDriver],
  [enums.pullStates, operator.PullState],
  [enums.layerStates, operator.LayerState],
  [enums.archiveFormats, operator.ArchiveFormat],
] as const;

t.test('every number of the wire has a word and comes back', async (t) => {
  for (const [table, wire] of TABLES) {
    for (const [name, number] of Object.entries<number>(wire)) {
      const word = table.fromWire(number, 'f');
      t.equal(table.toWire(word as never), number, `${name} is ${word}`);
    }
  }
});

t.test('an unknown number is refused by the name of its field', async (t) => {
  for (const [table] of TABLES) {
    t.throws(() => table.fromWire(77, 'config.x'), { kind: 'invalid', message: /^config\.x is 77, which is no \w+ this version knows$/ });
  }
  t.throws(() => enums.stopSignalName(500, 'config.stop_signal'), { message: /config\.stop_signal is 500/ });
});

t.test('stop signals', async (t) => {
  t.equal(enums.stopSignalName(cri.Signal.SIGNAL_RUNTIME_DEFAULT, 'f'), undefined);
  t.equal(enums.stopSignalName(cri.Signal.SIGNAL_SIGTERM, 'f'), 'SIGTERM');
  t.equal(enums.stopSignalName(cri.Signal.SIGNAL_SIGRTMINPLUS3, 'f'), 'SIGRTMIN+3');
  t.equal(enums.stopSignalName(cri.Signal.SIGNAL_SIGRTMAXMINUS14, 'f'), 'SIGRTMAX-14');
  t.equal(enums.stopSignalToWire(15), cri.Signal.SIGNAL_SIGTERM);
  t.equal(enums.stopSignalToWire(6), cri.Signal.SIGNAL_SIGABRT, 'not its alias SIGIOT');
  t.equal(enums.stopSignalToWire(17), cri.Signal.SIGNAL_SIGCHLD, 'not its alias SIGCLD');
  t.equal(enums.stopSignalToWire(37), cri.Signal.SIGNAL_SIGRTMINPLUS3);
  t.equal(enums.stopSignalToWire(64), cri.Signal.SIGNAL_SIGRTMAX);
  t.equal(enums.stopSignalToWire(1000), cri.Signal.SIGNAL_RUNTIME_DEFAULT);
  const numbers = Array.from({ length: 64 }, (_, at) => at + 1).filter((number) => enums.stopSignalToWire(number) !== 0);
  t.same(
    Array.from({ length: 64 }, (_, at) => at + 1).filter((number) => !numbers.includes(number)),
    [32, 33],
    'the two that glibc keeps for itself',
  );
});
