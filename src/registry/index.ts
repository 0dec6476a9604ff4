/** The registry: references, manifests and the distribution API. */
export { RegistryClient, type RegistrySession } from './client.ts';
export { isObject, parseJsonObject } from './json.ts';
export {
  type ArtifactManifest,
  candidatesFor,
  type Descriptor,
  formatPlatform,
  hostPlatform,
  type ImageManifest,
  parseManifest,
  platformMatches,
} from './manifest.ts';
export { digestNameOf, formatReference, nameOf, parseReference, type Reference, tagOf } from './reference.ts';
