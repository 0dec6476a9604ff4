/** Image records as answers, and credentials as the domain wants them. */

import type { operator } from '../gen/index.ts';
import { cri } from '../gen/index.ts';
import type { ImageFsUsage, ImageRecord, PullProgress, RegistryAuth } from '../image/index.ts';
import { EncodedList } from './encoded.ts';
import { layerStates, pullStates } from './enums.ts';
import { toInt64, toUint64 } from './int64.ts';

/** Image. The user of its config is a uid when it is a number, else a name; a group after ':' is not asked for. */
export function imageToWire(record: Readonly<ImageRecord>): cri.ImageInit {
  const user = record.config.user.split(':')[0] ?? '';
  const isNumber = /^\d+$/.test(user);
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

/** PullProgress of the operator's service. */
export function pullToWire(pull: PullProgress): operator.PullProgressInit {
  return {
    reference: pull.reference,
    startedAt: toInt64(pull.startedAtNs),
    state: pullStates.toWire(pull.state),
    layers: pull.layers.map((layer) => ({
      digest: layer.digest,
      totalBytes: toInt64(BigInt(layer.totalBytes)),
      downloadedBytes: toInt64(BigInt(layer.downloadedBytes)),
      state: layerStates.toWire(layer.state),
    })),
    error: pull.error,
    imageId: pull.imageId,
  };
}
