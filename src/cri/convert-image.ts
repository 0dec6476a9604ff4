/** Image records as answers, and credentials as the domain wants them. */

import type Long from 'long';
import type { operator } from '../gen/index.ts';
import { cri } from '../gen/index.ts';
import type { CheckStep, ImageFsUsage, ImageRecord, PullProgress, RegistryAuth } from '../image/index.ts';
import { EncodedList } from './encoded.ts';
import { checkOutcomes, layerStates, pullStates } from './enums.ts';
import { toInt64, toUint64 } from './int64.ts';

/** The largest uid: 2^32-1 is the kernel's "no change". */
const UID_MAX = 2 ** 32 - 2;

/** Image. The user of its config is a uid when it is a number that can be one, else a name; a group after ':' is not asked for. */
export function imageToWire(record: Readonly<ImageRecord>): cri.ImageInit {
  const user = record.config.user.split(':')[0] ?? '';
  const isNumber = /^\d{1,10}$/.test(user) && Number(user) <= UID_MAX;
  return {
    id: record.id,
    repoTags: record.repoTags,
    repoDigests: record.repoDigests,
    size: toUint64(record.sizeBytes),
    uid: isNumber ? { value: toInt64(BigInt(user)) } : undefined,
    username: isNumber ? undefined : user,
    pinned: record.pinned,
  };
}

/** Lists of images. */
export const imageLists = new EncodedList<Readonly<ImageRecord>>((record) => cri.Image.encode(imageToWire(record)).finish());

/** Credentials of a pull; a message with nothing set is no credentials. */
export function authFromWire(wire: cri.AuthConfig | null): RegistryAuth | undefined {
  if (wire === null) return undefined;
  const auth: RegistryAuth = {
    username: wire.username,
    password: wire.password,
    auth: wire.auth,
    serverAddress: wire.serverAddress,
    identityToken: wire.identityToken,
    registryToken: wire.registryToken,
  };
  const secrets = [auth.username, auth.password, auth.auth, auth.identityToken, auth.registryToken];
  return secrets.every((secret) => secret === '') ? undefined : auth;
}

/** Credentials of the operator's calls; without a user there are none. */
export function credentialsFromWire(wire: operator.Credentials | null): RegistryAuth | undefined {
  if (wire === null || wire.username === '') return undefined;
  const { username, password } = wire;
  return { username, password, auth: '', serverAddress: '', identityToken: '', registryToken: '' };
}

/** FilesystemUsage of the image store. */
export function fsUsageToWire(usage: ImageFsUsage, nowNs: bigint): cri.FilesystemUsageInit {
  return {
    timestamp: toInt64(nowNs),
    fsId: { mountpoint: usage.mountpoint },
    usedBytes: { value: toUint64(usage.usedBytes) },
    inodesUsed: { value: toUint64(usage.inodesUsed) },
  };
}

const NS_PER_MS = 1e6;

/** PullProgress of the operator's service. */
export function pullToWire(pull: PullProgress): operator.PullProgressInit {
  return {
    reference: pull.reference,
    startedAt: toInt64(pull.startedAtNs),
    endedAt: toInt64(pull.endedAtNs),
    state: pullStates.toWire(pull.state),
    layers: pull.layers.map((layer) => ({
      digest: layer.digest,
      totalBytes: toInt64(BigInt(layer.totalBytes)),
      downloadedBytes: toInt64(BigInt(layer.downloadedBytes)),
      unpackedBytes: toInt64(BigInt(layer.unpackedBytes)),
      resumedBytes: toInt64(BigInt(layer.resumedBytes)),
      source: layer.source,
      state: layerStates.toWire(layer.state),
    })),
    bytesPerSecond: whole(pull.bytesPerSecond),
    endsIn: whole((pull.endsInMs ?? 0) * NS_PER_MS),
    error: pull.error,
    imageId: pull.imageId,
  };
}

/** CheckImagesResponse of the operator's service. */
export function checkToWire(step: CheckStep): operator.CheckImagesResponseInit {
  if ('layer' in step) return { ...step.layer, outcome: checkOutcomes.toWire(step.layer.outcome) };
  const { layers, damaged, repaired, walked, counted } = step.summary;
  return {
    summary: {
      layers: toInt64(BigInt(layers)),
      damaged: toInt64(BigInt(damaged)),
      repaired: toInt64(BigInt(repaired)),
      walkedBytes: toInt64(walked.diskBytes),
      walkedInodes: toInt64(walked.inodes),
      countedBytes: toInt64(counted.diskBytes),
      countedInodes: toInt64(counted.inodes),
    },
  };
}

/** A figure that was measured; what is too large to be true is cut off. */
function whole(figure: number): Long {
  return toInt64(BigInt(Math.round(Math.min(figure, Number.MAX_SAFE_INTEGER))));
}
