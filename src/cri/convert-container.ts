/** Container records as answers. */
import { type ContainerRecord, containerState, type ImageSpec, type MountSpec } from '../container/index.ts';
import { cri } from '../gen/index.ts';
import { resourcesToWire } from './convert-resources.ts';
import { EncodedList, EncodedOnce } from './encoded.ts';
import { containerStates, propagations, stopSignalToWire } from './enums.ts';
import { toInt64 } from './int64.ts';

/** Container: a container in brief. */
export function containerToWire(record: Readonly<ContainerRecord>): cri.ContainerInit {
  return {
    id: record.id,
    podSandboxId: record.sandboxId,
    metadata: record.spec.metadata,
    image: imageToWire(record.spec.image),
    imageRef: record.imageRef,
    state: containerStates.toWire(containerState(record)),
    createdAt: toInt64(record.createdAtNs),
    labels: record.spec.labels,
    annotations: record.spec.annotations,
    imageId: record.imageId,
  };
}

/** ContainerStatus. A time that has not come is 0, which the wire leaves out. */
export function containerStatusToWire(record: Readonly<ContainerRecord>): cri.ContainerStatusInit {
  const { spec, exit, user } = record;
  return {
    id: record.id,
    metadata: spec.metadata,
    state: containerStates.toWire(containerState(record)),
    createdAt: toInt64(record.createdAtNs),
    startedAt: toInt64(record.startedAtNs ?? 0n),
    finishedAt: toInt64(exit?.finishedAtNs ?? 0n),
    exitCode: exit?.exitCode,
    image: imageToWire(spec.image),
    imageRef: record.imageRef,
    reason: exit?.reason,
    message: exit?.message,
    labels: spec.labels,
    annotations: spec.annotations,
    mounts: spec.mounts.map(mountToWire),
    logPath: record.logPath,
    resources: { linux: resourcesToWire(spec.resources) },
    imageId: record.imageId,
    user: {
      linux: {
        uid: toInt64(BigInt(user.uid)),
        gid: toInt64(BigInt(user.gid)),
        supplementalGroups: user.supplementalGroups.map((group) => toInt64(BigInt(group))),
      },
    },
    stopSignal: stopSignalToWire(record.stopSignal),
  };
}

/** kubelet shows `image` to users and sends an id in it: what the user wrote comes back where it is known. */
function imageToWire(image: ImageSpec): cri.ImageSpecInit {
  return { ...image, image: image.userSpecifiedImage === '' ? image.image : image.userSpecifiedImage };
}

/** All mounts as asked for: kubelet finds the termination log's file by its mount. */
function mountToWire(mount: MountSpec): cri.MountInit {
  return {
    containerPath: mount.containerPath,
    hostPath: mount.hostPath,
    readonly: mount.readonly,
    recursiveReadOnly: mount.recursiveReadOnly,
    selinuxRelabel: mount.selinuxRelabel,
    propagation: propagations.toWire(mount.propagation),
    uidMappings: mount.uidMappings,
    gidMappings: mount.gidMappings,
    image: mount.image,
    imageSubPath: mount.imageSubPath,
    mountOptions: mount.options,
  };
}

/** Lists of containers. */
export const containerLists = new EncodedList<Readonly<ContainerRecord>>((record) =>
  cri.Container.encode(containerToWire(record)).finish(),
);

/** Statuses of containers. */
export const containerStatuses = new EncodedOnce<Readonly<ContainerRecord>>((record) =>
  cri.ContainerStatus.encode(containerStatusToWire(record)).finish(),
);
