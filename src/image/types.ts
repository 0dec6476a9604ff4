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
  /** Digest of the config blob. */
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
  /** Pinned whatever its tags are, until it is removed: it was loaded so. */
  keep?: true;
  /** `keep`, or by a glob of the configuration. */
  pinned: boolean;
}

/** An archive to load. */
export interface LoadRequest {
  /** Absolute path on the node. */
  path: string;
  /** Keep the images from being collected. */
  pin: boolean;
  /** For the image that carries none; '' for no name. */
  name: string;
}

/** An image that an archive brought. */
export interface LoadedImage {
  id: ImageId;
  /** Tags and digest names the archive gave it. */
  names: string[];
}

/** Images to write into one archive. */
export interface SaveRequest {
  /** Names or ids. */
  images: readonly string[];
  format: 'oci' | 'docker';
}

/** An image to send to a registry. */
export interface PushRequest {
  /** Name or id. */
  image: string;
  /** HOST/NAME[:TAG]; '' is the name itself. */
  target: string;
  auth: RegistryAuth | undefined;
}

/** What a push did. */
export interface PushedImage {
  /** HOST/NAME@DIGEST */
  name: string;
  /** Of blobs that were sent, and of those the registry had. */
  bytesSent: number;
  bytesPresent: number;
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
  /** Brings the images of an archive; those before a broken one stay. Throws IMAGE_ARCHIVE and what a pull does. */
  load(request: LoadRequest, signal: AbortSignal): Promise<LoadedImage[]>;
  /** The archive of images, in pieces. Throws IMAGE_NOT_FOUND, IMAGE_LAYER_UNAVAILABLE. */
  save(request: SaveRequest, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Sends an image to a registry. Throws IMAGE_NOT_FOUND, IMAGE_LAYER_UNAVAILABLE and what the registry says. */
  push(request: PushRequest, signal: AbortSignal): Promise<PushedImage>;
  /** Begins to load what is in the import directory; pulls wait for it from now on. */
  beginImport(): void;
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
