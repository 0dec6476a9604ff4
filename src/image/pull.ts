/**
 * One pull, from a reference to an image on this node: manifest, platform,
 * config, layers side by side, commit. Nothing is visible before the commit,
 * and what a failed pull brought is freed.
 */
import { RuntimeError } from '../errors/index.ts';
import type { DiffId, ImageId } from '../ids/index.ts';
import {
  type Descriptor,
  formatPlatform,
  hostPlatform,
  type ImageManifest,
  offeredPlatforms,
  parseManifest,
  platformMatches,
  selectPlatform,
} from '../registry/index.ts';
import { type ParsedConfig, parseImageConfig } from './image-config.ts';
import type { ImageSource } from './source.ts';

/** Bytes of a config blob: a few KiB, more with a long history. */
const CONFIG_LIMIT_BYTES = 8 * 1024 * 1024;
/** An index in an index is allowed (image-spec), a chain of them is an attack. */
const INDEX_DEPTH_LIMIT = 3;

/** What a reference turned out to be. */
export interface ResolvedImage {
  id: ImageId;
  config: ParsedConfig;
  configBytes: Buffer;
  manifestBytes: Buffer;
  manifestDigest: ImageId;
  /** Digest of what the reference named. */
  targetDigest: ImageId;
  /** Each layer's blob with its diffID, lowest first. */
  layers: { descriptor: Descriptor; diffId: DiffId }[];
}

/** Fetches and checks the documents of an image; `what` names it in errors. */
export async function resolveImage(source: ImageSource, what: string, signal: AbortSignal): Promise<ResolvedImage> {
  const { manifest, bytes, digest, targetDigest } = await resolveManifest(source, what, signal);
  const configBytes = await source.smallBlob(manifest.config, CONFIG_LIMIT_BYTES, signal);
  const config = parseImageConfig(configBytes, what);
  checkPlatform(config, what);
  if (config.diffIds.length !== manifest.layers.length) {
    const message = `the manifest of ${what} has ${manifest.layers.length} layers, its config ${config.diffIds.length}; rebuild the image`;
    throw new RuntimeError('unknown', 'IMAGE_MANIFEST', message);
  }
  const layers = manifest.layers.flatMap((descriptor, at) => {
    const diffId = config.diffIds[at];
    return diffId === undefined ? [] : [{ descriptor, diffId }];
  });
  return { id: manifest.config.digest, config, configBytes, manifestBytes: bytes, manifestDigest: digest, targetDigest, layers };
}

interface ResolvedManifest {
  manifest: ImageManifest;
  bytes: Buffer;
  digest: ImageId;
  targetDigest: ImageId;
}

/** Goes down through indexes to the manifest for this machine. */
async function resolveManifest(source: ImageSource, what: string, signal: AbortSignal): Promise<ResolvedManifest> {
  const host = hostPlatform();
  let fetched = await source.manifest(undefined, signal);
  const targetDigest = fetched.digest;
  for (let depth = 0; depth <= INDEX_DEPTH_LIMIT; depth += 1) {
    const document = parseManifest(fetched.bytes, what, fetched.contentType);
    if (document.kind === 'manifest') return { manifest: document, bytes: fetched.bytes, digest: fetched.digest, targetDigest };
    const chosen = selectPlatform(document, host);
    if (chosen === undefined) throw noPlatform(what, offeredPlatforms(document));
    fetched = await source.manifest(chosen.digest, signal);
  }
  throw new RuntimeError('unknown', 'IMAGE_MANIFEST', `the index of ${what} nests deeper than ${INDEX_DEPTH_LIMIT}; rebuild the image`);
}

/** An image without an index says its platform in the config only; an empty field says nothing. */
function checkPlatform({ config, variant }: ParsedConfig, what: string): void {
  const host = hostPlatform();
  const platform = {
    os: config.os === '' ? host.os : config.os,
    architecture: config.architecture === '' ? host.architecture : config.architecture,
    ...(variant === '' ? {} : { variant }),
  };
  if (!platformMatches(platform, host)) throw noPlatform(what, [formatPlatform(platform)]);
}

function noPlatform(what: string, offered: readonly string[]): RuntimeError {
  const wanted = formatPlatform(hostPlatform());
  const list = offered.length === 0 ? 'none' : offered.slice(0, 10).join(', ');
  const message = `${what} is not for this node’s platform ${wanted}, it is for: ${list}; push it for ${wanted} or schedule the pod elsewhere`;
  return new RuntimeError('unknown', 'IMAGE_PLATFORM', message);
}
