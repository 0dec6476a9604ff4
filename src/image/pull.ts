/**
 * One pull, from a reference to an image on this node: manifest, platform,
 * config, layers side by side, commit. Nothing is visible before the commit,
 * and what a failed pull brought is freed.
 */
import { oneLine, RuntimeError } from '../errors/index.ts';
import type { ImageId } from '../ids/index.ts';
import {
  type ArtifactManifest,
  candidatesFor,
  formatPlatform,
  hostPlatform,
  type ImageManifest,
  parseManifest,
  platformMatches,
} from '../registry/index.ts';
import { artifactLayers, NO_CONFIG } from './artifact.ts';
import { type ParsedConfig, parseImageConfig } from './image-config.ts';
import type { FetchedManifest, ImageSource, WantedLayer } from './source.ts';
import type { ImageConfig } from './types.ts';

/** Bytes of a config blob: a few KiB, more with a long history. */
const CONFIG_LIMIT_BYTES = 8 * 1024 * 1024;
/** An index in an index is allowed (image-spec), a chain of them is an attack. */
const INDEX_DEPTH_LIMIT = 3;
/** Indexes looked into for one image; a thicket of them is an attack too. */
const INDEXES_LIMIT = 20;
/** Platforms named when none fits, each of them short. */
const OFFERED_SHOWN = 10;

/** What a reference turned out to be. */
export interface ResolvedImage {
  id: ImageId;
  config: ImageConfig;
  /** Set for what is no container image. */
  artifactType?: string;
  configBytes: Buffer;
  manifestBytes: Buffer;
  manifestDigest: ImageId;
  /** Digest of what the reference named. */
  targetDigest: ImageId;
  /** Lowest first. */
  layers: WantedLayer[];
}

/** Fetches and checks the documents of an image; `what` names it in errors. */
export async function resolveImage(source: ImageSource, what: string, signal: AbortSignal): Promise<ResolvedImage> {
  const { manifest, bytes, digest, targetDigest } = await resolveManifest(source, what, signal);
  const documents = { manifestBytes: bytes, manifestDigest: digest, targetDigest };
  if (manifest.kind === 'artifact') {
    const { artifactType } = manifest;
    return { ...documents, id: digest, config: NO_CONFIG, artifactType, configBytes: Buffer.alloc(0), layers: artifactLayers(manifest) };
  }
  const configBytes = await source.smallBlob(manifest.config, CONFIG_LIMIT_BYTES, signal);
  const config = parseImageConfig(configBytes, what);
  checkPlatform(config, what);
  if (config.diffIds.length !== manifest.layers.length) {
    const message = `the manifest of ${what} has ${manifest.layers.length} layers, its config ${config.diffIds.length}; rebuild the image`;
    throw new RuntimeError('unknown', 'IMAGE_MANIFEST', message);
  }
  const layers = manifest.layers.flatMap((descriptor, at): WantedLayer[] => {
    const diffId = config.diffIds[at];
    return diffId === undefined ? [] : [{ descriptor, diffId, content: { kind: 'layer' } }];
  });
  return { ...documents, id: manifest.config.digest, config: config.config, configBytes, layers };
}

interface ResolvedManifest {
  manifest: ImageManifest | ArtifactManifest;
  bytes: Buffer;
  digest: ImageId;
  targetDigest: ImageId;
}

/** Goes down through indexes to the manifest for this machine. */
async function resolveManifest(source: ImageSource, what: string, signal: AbortSignal): Promise<ResolvedManifest> {
  const host = hostPlatform();
  const offered: string[] = [];
  let indexes = 0;
  const descend = async (fetched: FetchedManifest, depth: number): Promise<Omit<ResolvedManifest, 'targetDigest'> | undefined> => {
    const document = parseManifest(fetched.bytes, what, fetched.contentType);
    if (document.kind !== 'index') return { manifest: document, bytes: fetched.bytes, digest: fetched.digest };
    indexes += 1;
    if (depth > INDEX_DEPTH_LIMIT) throw unusableIndex(what, `nests deeper than ${INDEX_DEPTH_LIMIT}`);
    if (indexes > INDEXES_LIMIT) throw unusableIndex(what, `leads to more than ${INDEXES_LIMIT} indexes`);
    offered.push(...document.manifests.flatMap((entry) => (entry.platform === undefined ? [] : [formatPlatform(entry.platform)])));
    for (const entry of candidatesFor(document, host)) {
      const found = await descend(await source.manifest(entry.digest, signal), depth + 1);
      if (found !== undefined) return found;
    }
    return undefined; // an index within may lack this platform, and the next one have it
  };
  const target = await source.manifest(undefined, signal);
  const found = await descend(target, 0);
  if (found === undefined) throw noPlatform(what, [...new Set(offered)]);
  return { ...found, targetDigest: target.digest };
}

const unusableIndex = (what: string, why: string): RuntimeError =>
  new RuntimeError('unknown', 'IMAGE_MANIFEST', `the index of ${what} ${why}; rebuild the image`);

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
  const list = offered.length === 0 ? 'none' : oneLine(offered.slice(0, OFFERED_SHOWN).join(', '), OFFERED_SHOWN * 40);
  const message = `${what} is not for this node’s platform ${wanted}, it is for: ${list}; push it for ${wanted} or schedule the pod elsewhere`;
  return new RuntimeError('unknown', 'IMAGE_PLATFORM', message);
}
