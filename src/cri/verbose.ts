/**
 * The JSON of verbose answers: berth's own view of an object, as `crictl
 * inspect` and friends print it. Numbers beyond what JSON readers hold exactly
 * are strings; bytes are text.
 */
import type { ContainerRecord } from '../container/index.ts';
import type { ImageRecord } from '../image/index.ts';
import type { SandboxRecord } from '../sandbox/index.ts';

/** JSON of any value of the domain. */
export function infoJson(value: unknown): string {
  return JSON.stringify(value, (_key, entry: unknown) => {
    if (typeof entry === 'bigint') return BigInt.asIntN(53, entry) === entry ? Number(entry) : entry.toString();
    if (entry instanceof Uint8Array) return Buffer.from(entry).toString();
    return entry;
  });
}

/** PodSandboxStatusResponse.info. */
export function sandboxInfo(record: Readonly<SandboxRecord>): Record<string, string> {
  const { spec, pause, pins, network, cgroupPath, handler, readyAtNs, stoppedAtNs, stopReason } = record;
  const info = {
    sandboxID: record.id,
    pid: pause?.pid ?? 0,
    runtimeHandler: handler,
    namespaces: pins,
    cgroupPath,
    network,
    readyAtNs,
    stoppedAtNs,
    stopReason,
    updatedResources: record.updatedResources,
    config: spec,
  };
  return { info: infoJson(info) };
}

/** ContainerStatusResponse.info. */
export function containerInfo(record: Readonly<ContainerRecord>): Record<string, string> {
  const { spec, init, monitor, cgroupPath, handler, oomKills, stopSignaledAtNs } = record;
  const info = {
    sandboxID: record.sandboxId,
    pid: record.exit === undefined ? (init?.pid ?? 0) : 0,
    monitorPid: monitor?.pid ?? 0,
    runtimeHandler: handler,
    cgroupPath,
    imageID: record.imageId,
    oomKills,
    stopSignaledAtNs,
    privileged: spec.security.privileged,
    config: spec,
  };
  return { info: infoJson(info) };
}

/** ImageStatusResponse.info; `imageSpec.config` has the names of the OCI image-spec, which crictl reads. */
export function imageInfo(record: Readonly<ImageRecord>): Record<string, string> {
  const { config } = record;
  const imageSpec = {
    architecture: config.architecture,
    os: config.os,
    config: {
      User: config.user,
      Env: config.env,
      Entrypoint: config.entrypoint,
      Cmd: config.cmd,
      WorkingDir: config.workingDir,
      StopSignal: config.stopSignal,
      Volumes: Object.fromEntries(config.volumes.map((volume) => [volume, {}])),
      Labels: config.labels,
    },
    rootfs: { type: 'layers', diff_ids: record.layers },
  };
  return { info: infoJson({ manifestDigest: record.manifestDigest, pulledAtNs: record.pulledAtNs, imageSpec }) };
}
