/**
 * OCI artifacts as images whose layers hold one file each, so that they are
 * pulled, shared, verified, held and mounted as images are; only containers
 * cannot run from them. An artifact's id is the digest of its manifest: its
 * config is often the same empty object for all of them.
 */
import { createHash } from 'node:crypto';
import { RuntimeError } from '../errors/index.ts';
import type { DiffId } from '../ids/index.ts';
import type { ArtifactManifest } from '../registry/index.ts';
import type { WantedLayer } from './source.ts';
import type { ImageConfig, ImageRecord } from './types.ts';

/** What an artifact says about running it: nothing. */
export const NO_CONFIG: ImageConfig = {
  user: '',
  env: [],
  entrypoint: [],
  cmd: [],
  workingDir: '',
  stopSignal: '',
  volumes: [],
  labels: {},
  architecture: '',
  os: '',
};

/** A layer a blob. Its key stands for the name and the blob: what it unpacks to is not known before. */
export function artifactLayers(manifest: ArtifactManifest): WantedLayer[] {
  return manifest.files.map(({ descriptor, name, unpack }) => {
    const identity = JSON.stringify(['berth artifact', unpack ? 'directory' : name, descriptor.digest]);
    const diffId = `sha256:${createHash('sha256').update(identity).digest('hex')}` as DiffId; // of that form by construction
    return { descriptor, diffId, content: unpack ? { kind: 'directory' } : { kind: 'file', name } };
  });
}

/** Throws when containers cannot run from `image`. */
export function refuseArtifact(image: Readonly<ImageRecord>): void {
  if (image.artifactType === undefined) return;
  const name = image.repoTags[0] ?? image.repoDigests[0] ?? image.id;
  const message = `${name} is an artifact of type ${image.artifactType}, not a container image, so no container can run from it; mount it as an image volume`;
  throw new RuntimeError('invalid', 'IMAGE_IS_ARTIFACT', message);
}
