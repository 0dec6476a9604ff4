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
  /** Digests of that manifest's layers, kept or not; lowest first. */
  layerBlobs: Digest[];
  pulledAtNs: bigint;
  /** Pinned whatever its tags are, until it is removed: it was loaded so. */
  keep?: true;
  /** `keep`, or by a glob of the configuration. */
  pinned: boolean;
  /** Set for an OCI artifact, from which no container can run. */
  artifactType?: string;
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
  /** In the file so far, those of an earlier attempt included. */
  downloadedBytes: number;
  /** Of these, what an earlier attempt had brought. */
  resumedBytes: number;
  /** Of its tar; how many there will be nobody knows before the end. */
  unpackedBytes: number;
  /** HOST[:PORT] that serves it; '' before one answered, and when it was there. */
  source: string;
  state: 'waiting' | 'downloading' | 'unpacking' | 'done' | 'shared';
}

/** A pull under way or just ended. */
export interface PullProgress {
  reference: string;
  startedAtNs: bigint;
  /** 0 while it is under way. */
  endedAtNs: bigint;
  layers: LayerProgress[];
  state: 'resolving' | 'pulling' | 'done' | 'failed';
  /** What came for it over the last seconds; 0 when it has ended. */
  bytesPerSecond: number;
  /** Until all is downloaded at that rate; absent when nothing comes or nothing is missing. */
  endsInMs?: number;
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
/** Something that happened while layers were brought, succeeded pull or not. `registry` is the host of the reference. */
export type TransferEvent =
  /** Bytes came over the network, from the registry itself or a mirror. */
  | { kind: 'received'; registry: string; mirror: boolean; bytes: number }
  /** A download went on where an earlier one, or its own connection, had broken off. */
  | { kind: 'resumed'; registry: string }
  /** An attempt failed and another follows; a stall is one that was cut for being too slow. */
  | { kind: 'retried' | 'stalled'; registry: string }
  | { kind: 'downloaded'; registry: string; seconds: number }
  | { kind: 'unpacked'; seconds: number }
  /** Somebody waits for a pull or layer that another caller had begun. */
  | { kind: 'joined'; what: 'pull' | 'layer' };

/** Cumulative figures of pulls, for metrics. */
export interface PullObserver {
  pulled(event: { registry: string; bytes: number; seconds: number; layersPulled: number; layersShared: number }): void;
  failed(event: { registry: string; reason: string }): void;
  transfer(event: TransferEvent): void;
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
