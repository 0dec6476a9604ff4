/**
 * Every enumeration of the wire and its string union inside, both ways. A
 * number this file does not know is refused by name, never treated as the
 * zero value: a newer client's meaning must not be guessed.
 */
import { constants } from 'node:os';
import type { CgroupDriver } from '../cgroup/index.ts';
import type { ContainerState, MountSpec } from '../container/index.ts';
import type { LifecycleEventKind } from '../events/index.ts';
import { cri, operator } from '../gen/index.ts';
import type { LayerCheck, LayerProgress, PullProgress, SaveRequest } from '../image/index.ts';
import type { PortMapping } from '../network/index.ts';
import type { NamespaceMode, SandboxState, SecurityProfile } from '../sandbox/index.ts';
import { invalid } from './fields.ts';

/** One enumeration: its name on the wire and the number of each of our words. */
class Enumeration<Word extends string> {
  readonly #name: string;
  readonly #numbers: Readonly<Record<Word, number>>;
  readonly #words: ReadonlyMap<number, Word>;

  constructor(name: string, numbers: Readonly<Record<Word, number>>) {
    this.#name = name;
    this.#numbers = numbers;
    this.#words = new Map(Object.entries<number>(numbers).map(([word, number]) => [number, word as Word]));
  }

  /** The word of a number received in `field`. Throws INVALID_ARGUMENT for an unknown one. */
  fromWire(number: number, field: string): Word {
    const word = this.#words.get(number);
    if (word === undefined) throw invalid(field, `is ${number}, which is no ${this.#name} this version knows`);
    return word;
  }

  /** The number to send. */
  toWire(word: Word): number {
    return this.#numbers[word];
  }
}

export const protocols = new Enumeration<PortMapping['protocol']>('Protocol', {
  tcp: cri.Protocol.TCP,
  udp: cri.Protocol.UDP,
  sctp: cri.Protocol.SCTP,
});

export const propagations = new Enumeration<MountSpec['propagation']>('MountPropagation', {
  private: cri.MountPropagation.PROPAGATION_PRIVATE,
  'host-to-container': cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
  bidirectional: cri.MountPropagation.PROPAGATION_BIDIRECTIONAL,
});

export const namespaceModes = new Enumeration<NamespaceMode>('NamespaceMode', {
  pod: cri.NamespaceMode.POD,
  container: cri.NamespaceMode.CONTAINER,
  node: cri.NamespaceMode.NODE,
  target: cri.NamespaceMode.TARGET,
});

export const groupPolicies = new Enumeration<'merge' | 'strict'>('SupplementalGroupsPolicy', {
  merge: cri.SupplementalGroupsPolicy.Merge,
  strict: cri.SupplementalGroupsPolicy.Strict,
});

export const profileTypes = new Enumeration<SecurityProfile['type']>('ProfileType', {
  'runtime-default': cri.SecurityProfile.ProfileType.RuntimeDefault,
  unconfined: cri.SecurityProfile.ProfileType.Unconfined,
  localhost: cri.SecurityProfile.ProfileType.Localhost,
});

export const sandboxStates = new Enumeration<SandboxState>('PodSandboxState', {
  ready: cri.PodSandboxState.SANDBOX_READY,
  notready: cri.PodSandboxState.SANDBOX_NOTREADY,
});

export const containerStates = new Enumeration<ContainerState>('ContainerState', {
  created: cri.ContainerState.CONTAINER_CREATED,
  running: cri.ContainerState.CONTAINER_RUNNING,
  exited: cri.ContainerState.CONTAINER_EXITED,
  unknown: cri.ContainerState.CONTAINER_UNKNOWN,
});

export const eventTypes = new Enumeration<LifecycleEventKind>('ContainerEventType', {
  created: cri.ContainerEventType.CONTAINER_CREATED_EVENT,
  started: cri.ContainerEventType.CONTAINER_STARTED_EVENT,
  stopped: cri.ContainerEventType.CONTAINER_STOPPED_EVENT,
  deleted: cri.ContainerEventType.CONTAINER_DELETED_EVENT,
});

export const cgroupDrivers = new Enumeration<CgroupDriver>('CgroupDriver', {
  systemd: cri.CgroupDriver.SYSTEMD,
  cgroupfs: cri.CgroupDriver.CGROUPFS,
});

export const pullStates = new Enumeration<PullProgress['state']>('PullState', {
  resolving: operator.PullState.PULL_RESOLVING,
  pulling: operator.PullState.PULL_PULLING,
  done: operator.PullState.PULL_DONE,
  failed: operator.PullState.PULL_FAILED,
});

export const layerStates = new Enumeration<LayerProgress['state']>('LayerState', {
  waiting: operator.LayerState.LAYER_WAITING,
  downloading: operator.LayerState.LAYER_DOWNLOADING,
  unpacking: operator.LayerState.LAYER_UNPACKING,
  done: operator.LayerState.LAYER_DONE,
  shared: operator.LayerState.LAYER_SHARED,
});

export const checkOutcomes = new Enumeration<LayerCheck['outcome']>('CheckOutcome', {
  whole: operator.CheckOutcome.CHECK_WHOLE,
  damaged: operator.CheckOutcome.CHECK_DAMAGED,
  repaired: operator.CheckOutcome.CHECK_REPAIRED,
});

export const archiveFormats = new Enumeration<SaveRequest['format']>('ArchiveFormat', {
  oci: operator.ArchiveFormat.ARCHIVE_OCI,
  docker: operator.ArchiveFormat.ARCHIVE_DOCKER,
});

/** glibc's first and last real-time signals (signal(7)); names count up from one and down from the other. */
const RTMIN = 34;
const RTMAX = 64;
/** Names of which another is the usual one for the same number. */
const ALIASES: ReadonlySet<string> = new Set(['SIGIOT', 'SIGPOLL', 'SIGCLD']);

/** SIGNAL_SIGRTMINPLUS3 is SIGRTMIN+3 inside. */
function signalName(wireName: string): string {
  return wireName.replace('SIGNAL_', '').replace('PLUS', '+').replace('MINUS', '-');
}

function signalNumber(name: string): number | undefined {
  const realtime = /^SIGRT(MIN|MAX)(?:[+-](\d+))?$/.exec(name);
  if (realtime !== null) return realtime[1] === 'MIN' ? RTMIN + Number(realtime[2] ?? 0) : RTMAX - Number(realtime[2] ?? 0);
  if (name === 'SIGCLD') return constants.signals.SIGCHLD;
  return (constants.signals as Record<string, number>)[name];
}

const signalNames = new Map<number, string>();
const signalsByNumber = new Map<number, number>();
for (const [wireName, wire] of Object.entries<number>(cri.Signal)) {
  const name = signalName(wireName);
  signalNames.set(wire, name);
  const number = signalNumber(name);
  if (number !== undefined && !ALIASES.has(name)) signalsByNumber.set(number, wire);
}

/** Name of a stop signal ('SIGTERM', 'SIGRTMIN+3'); undefined for the runtime's default. */
export function stopSignalName(wire: number, field: string): string | undefined {
  if (wire === cri.Signal.SIGNAL_RUNTIME_DEFAULT) return undefined;
  const name = signalNames.get(wire);
  if (name === undefined) throw invalid(field, `is ${wire}, which is no Signal this version knows`);
  return name;
}

/** The wire's number of a kernel signal number; the default for one without a name. */
export function stopSignalToWire(number: number): number {
  return signalsByNumber.get(number) ?? cri.Signal.SIGNAL_RUNTIME_DEFAULT;
}
