/** What an image is to the rest of the daemon. */
import type { DiffId, Digest, ImageId } from '../ids/index.ts';
import type { EndpointReport } from '../registry/index.ts';

/** Credentials of one pull (api.proto AuthConfig); '' is unset. Secret. */
export interface RegistryAuth {
  username: string;
  password: string;
  /** base64 of username:password. */
  auth: string;
  serverAddress: string;
  identityToken: string;
  registryToken: string;
}

/** What of the image's config a container needs (OCI image-spec config.md). */
export interface ImageConfig {
  user: string;
  env: string[];
  entrypoint: string[];
  cmd: string[];
  workingDir: string;
  stopSignal: string;
  volumes: string[];
  labels: Record<string, string>;
  architecture: string;
  os: string;
}

/** The row of an image. */
export interface ImageRecord {
  /** Digest of the config blob; of the manifest for an artifact. */
  id: ImageId;
  /** HOST/NAME:TAG, normalized. */
  repoTags: string[];
  /** HOST/NAME@DIGEST. */
  repoDigests: string[];
  /** Bytes of its layers unpacked, plus its config. */
  sizeBytes: bigint;
  config: ImageConfig;
  /** Lowest first. */
  layers: DiffId[];
  /** Digest of the manifest it was pulled by. */
  manifestDigest: Digest;
  pulledAtNs: bigint;
  pinned: boolean;
  /** Set for an OCI artifact, from which no container can run. */
  artifactType?: string;
}

/** Progress of one layer of a pull under way. */
export interface LayerProgress {
  digest: string;
  totalBytes: number;
  downloadedBytes: number;
  state: 'waiting' | 'downloading' | 'unpacking' | 'done' | 'shared';
}

/** A pull under way or just ended. */
export interface PullProgress {
  reference: string;
  startedAtNs: bigint;
  layers: LayerProgress[];
  state: 'resolving' | 'pulling' | 'done' | 'failed';
  /** Set when failed. */
  error?: string;
  /** Set when done. */
  imageId?: ImageId;
}

/** Usage of the image store, from counters. */
export interface ImageFsUsage {
  /** Absolute; a real directory that statfs works on. */
  mountpoint: string;
  usedBytes: bigint;
  inodesUsed: bigint;
}

/** What of the store to verify. */
export interface CheckRequest {
  /** Names or ids; none for every image. */
  images: readonly string[];
  /** Bring damaged layers anew. */
  repair: boolean;
}

/** One layer, verified. */
export interface LayerCheck {
  layer: DiffId;
  /** A name of each image that has it. */
  images: string[];
  outcome: 'whole' | 'damaged' | 'repaired';
  /** What was wrong, one sentence a file, bounded. */
  problems: string[];
  /** Why it was not repaired. */
  error?: string;
}

/** The whole check. */
export interface CheckSummary {
  layers: number;
  /** Repaired ones included. */
  damaged: number;
  repaired: number;
  /** Of all layers on the node, by a walk and by the counters. */
  walked: { diskBytes: bigint; inodes: bigint };
  counted: { diskBytes: bigint; inodes: bigint };
}

/** What a check tells as it goes. */
export type CheckStep = { layer: LayerCheck } | { summary: CheckSummary };

/** A test of a registry. */
export interface RegistryTest {
  /** Normalized. */
  reference: string;
  endpoints: EndpointReport[];
}

/** Cumulative figures of pulls, for metrics. */
export interface PullObserver {
  pulled(event: { registry: string; bytes: number; seconds: number; layersPulled: number; layersShared: number }): void;
  failed(event: { registry: string; reason: string }): void;
}

/** The image store as the edges and containers see it. */
export interface ImageService {
  /** Joins a pull of the same reference and credentials in flight; a caller that gives up detaches alone. */
  pull(reference: string, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<ImageId>;
  /** By id, unique id prefix, tag or digest reference; undefined when absent; throws IMAGE_REFERENCE when malformed. */
  find(reference: string): Readonly<ImageRecord> | undefined;
  list(): Readonly<ImageRecord>[];
  /** Any name removes the image with all its names; absent is success. */
  remove(reference: string): Promise<void>;
  /** Verifies layers, reading all of them. */
  check(request: CheckRequest, signal: AbortSignal): AsyncGenerator<CheckStep>;
  /** What every endpoint says that a pull of it could ask, in order, without pulling; throws IMAGE_REFERENCE or CONFIG_INVALID. */
  testRegistry(reference: string, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<RegistryTest>;
  fsUsage(): ImageFsUsage;
  /** Pulls under way and the last few ended, newest last. */
  pulls(): PullProgress[];
  /** Resolves at the next change of any pull's progress (at most 10 a second). */
  pullsChanged(signal: AbortSignal): Promise<void>;
  /** Absolute directories of the image's layers, topmost first as overlayfs wants them, duplicates removed; holds the image until released. */
  hold(id: ImageId, holder: string): string[];
  /** Releases a hold; idempotent. */
  release(id: ImageId, holder: string): void;
  close(): Promise<void>;
}
