/** The registry: references, manifests and the distribution API. */
export { RegistryClient } from './client.ts';
export { isObject, parseJsonObject } from './json.ts';
export {
  type ArtifactManifest,
  type Descriptor,
  type ImageManifest,
  type Platform,
  parseManifest,
} from './manifest.ts';
export { candidatesFor, formatPlatform, hostPlatform, platformMatches } from './platform.ts';
export type { EndpointReport } from './probe.ts';
export type { BlobSource, PushSession } from './push.ts';
export { digestNameOf, formatReference, nameOf, parseReference, type Reference, tagOf } from './reference.ts';
export type { RegistrySession } from './session.ts';
