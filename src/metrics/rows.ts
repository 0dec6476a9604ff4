/**
 * Rows of /metrics/cadvisor: one sample turned into what cAdvisor calls
 * containers, with its labels.
 *   container  a running container            container=NAME
 *   ended      one that is not running        container=NAME, counters of its record only
 *   pause      the sandbox and its network    container="POD"
 *   pod        the pod's own cgroup           container="", only where the pod has one
 * A sum over container!="" thus never counts anything twice.
 */
import type { CgroupStats } from '../cgroup/index.ts';
import { type ContainerRecord, containerState } from '../container/index.ts';
import type { InterfaceStats } from '../network/index.ts';
import type { SandboxSample, WritableLayerStats } from '../stats/index.ts';
import type { Volume } from './devices.ts';

/** Labels of every family of the table, in cAdvisor's names. */
export const BASE_LABELS = ['container', 'id', 'image', 'name', 'namespace', 'pod'] as const;

/** Values of the base labels. */
type BaseLabels = Record<(typeof BASE_LABELS)[number], string>;

/** One row. */
export interface Row {
  labels: BaseLabels;
  kind: 'container' | 'ended' | 'pause' | 'pod';
  /** Set but for 'ended'. */
  cgroup?: CgroupStats;
  /** Set for 'container' and 'ended'. */
  record?: Readonly<ContainerRecord>;
  startedAtNs?: bigint;
  interfaces: readonly InterfaceStats[];
  writableLayer?: WritableLayerStats;
  volume?: Volume;
  /** /dev/NAME of MAJOR:MINOR. */
  deviceName: (device: string) => string;
}

/** What rows are made of. */
interface RowSource {
  pods: readonly SandboxSample[];
  /** Containers of any pod and in any state. */
  containers: readonly Readonly<ContainerRecord>[];
  /** File systems by mount point, where known. */
  volumes: ReadonlyMap<string, Volume>;
  deviceName: (device: string) => string;
}

/** The name a person knows the image by. */
function imageOf(record: Readonly<ContainerRecord>): string {
  return record.spec.image.userSpecifiedImage || record.imageRef || record.spec.image.image;
}

function containerLabels(record: Readonly<ContainerRecord>, pod: { name: string; namespace: string }): BaseLabels {
  return {
    container: record.spec.metadata.name,
    id: record.cgroupPath,
    image: imageOf(record),
    name: record.id,
    namespace: pod.namespace,
    pod: pod.name,
  };
}

function podRows(pod: SandboxSample, deviceName: Row['deviceName']): Row[] {
  const { id, spec, cgroupPath, createdAtNs } = pod.record;
  const { name: podName, namespace } = spec.metadata;
  const labels = (container: string, path: string, name: string): BaseLabels => {
    return { container, id: path, image: '', name, namespace, pod: podName };
  };
  const pause: Row = {
    kind: 'pause',
    labels: labels('POD', cgroupPath ?? '', id),
    startedAtNs: createdAtNs,
    interfaces: pod.interfaces,
    deviceName,
    ...(pod.pause !== undefined && { cgroup: pod.pause }),
  };
  if (pod.cgroupPath === undefined || pod.cgroup === undefined) return [pause];
  return [
    pause,
    { kind: 'pod', labels: labels('', pod.cgroupPath, ''), startedAtNs: createdAtNs, interfaces: [], deviceName, cgroup: pod.cgroup },
  ];
}

/** Rows of a sample and of the containers of its pods that have ended. */
export function rowsOf({ pods, containers, volumes, deviceName }: RowSource): Row[] {
  const ended = Map.groupBy(
    containers.filter((record) => containerState(record) === 'exited'),
    (record) => record.sandboxId,
  );
  return pods.flatMap((pod) => {
    const { metadata } = pod.record.spec;
    const running = pod.containers.map(({ record, cgroup, writableLayer }): Row => {
      const volume = writableLayer === undefined ? undefined : volumes.get(writableLayer.mountpoint);
      return {
        kind: 'container',
        labels: containerLabels(record, metadata),
        cgroup,
        record,
        interfaces: [],
        deviceName,
        ...(record.startedAtNs !== undefined && { startedAtNs: record.startedAtNs }),
        ...(writableLayer !== undefined && { writableLayer }),
        ...(volume !== undefined && { volume }),
      };
    });
    const over = (ended.get(pod.record.id) ?? []).map((record): Row => {
      return { kind: 'ended', labels: containerLabels(record, metadata), record, interfaces: [], deviceName };
    });
    return [...podRows(pod, deviceName), ...running, ...over];
  });
}
